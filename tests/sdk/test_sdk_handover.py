"""`samebits exec`: settings in place before the program starts, the user's own kept, and the command exactly."""

import json
import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samebits import handover
from samebits.record import Code

CODE = Code("a" * 40, "a" * 40, None, "exec", [], [], 0, [])
TEXT = st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"").decode(errors="surrogateescape"))


def start(**changes):
    return handover.Start(**{"pid": 1, "spawned": False, "session": "s", "typed": ["x"], "kept": None, "not_kept": None, "cwd": "/", "root": "/",
                             "code": CODE, "set_by_samebits": []} | changes)  # fmt: skip


def test_what_the_user_set_stays():
    """Only settings that are not there yet are made, and only those are named as ours."""
    prepared, ours = handover.prepare({"OMP_NUM_THREADS": "3", "PYTHONHASHSEED": "9", "X": "y"}, None)
    assert prepared["OMP_NUM_THREADS"] == "3"
    assert prepared["OPENBLAS_NUM_THREADS"] == "3"  # follows the user's, not the machine's
    assert (prepared["PYTHONHASHSEED"], prepared["X"]) == ("9", "y")
    assert ours == ["CUBLAS_WORKSPACE_CONFIG", "OPENBLAS_NUM_THREADS"]


def test_without_a_seed_hashes_are_fixed_all_the_same():
    """The hash seed is 0 without a seed, and threads are as many as processors may be used."""
    prepared, ours = handover.prepare({}, None)
    assert prepared["PYTHONHASHSEED"] == "0"
    assert prepared["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))
    assert handover.SEED not in prepared
    assert len(ours) == 4


@given(st.integers(min_value=0, max_value=2**63))
def test_any_seed_gives_a_hash_seed_python_accepts(seed):
    """PYTHONHASHSEED must be below 2**32; the seed itself travels whole."""
    prepared, ours = handover.prepare({}, seed)
    assert 0 <= int(prepared["PYTHONHASHSEED"]) < 2**32
    assert prepared[handover.SEED] == str(seed)
    assert handover.SEED in ours


@given(st.lists(TEXT, max_size=5), TEXT)
def test_the_handover_survives_the_environment(typed, cwd):
    """Whatever the command holds comes out as it went in, through a plain ASCII variable."""
    begun = start(typed=typed, cwd=cwd)
    text = handover.encode(begun)
    assert text.isascii()
    assert handover.decode({handover.START: text}) == begun


def test_a_handover_too_long_for_linux_loses_its_lists_first():
    """The list of changed files goes first, then the command; the variable always fits."""
    many = Code("dirty", "a" * 40, None, "exec", [], ["? " + "\udcff" * 400] * 200, 200, [])
    found = handover.decode({handover.START: handover.encode(start(code=many))})
    assert (found.typed, found.code.changed, found.code.changed_total) == (["x"], [], 200)
    text = handover.encode(start(typed=["x" * 130_000]))
    assert len(text) < handover.MAX_LENGTH
    assert handover.decode({handover.START: text}).typed is None


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"code": 1}', '{"code": {}}', '{"pid": 1}'])
def test_a_foreign_handover_is_none(text):
    """What this version did not write is as good as nothing: no error in the user's program."""
    assert handover.decode({handover.START: text}) is None
    assert handover.decode({}) is None


def test_exec_starts_the_program_with_everything_in_place(project):
    """Hash seed and threads act in the program, which is the same process, and its exit code is the command's."""
    program = "import json, os, sys; print(json.dumps([hash('x'), os.getpid(), dict(os.environ)])); sys.exit(7)"
    project.write("x.py", "")
    head = project.commit()
    found = [project.start("samebits", "exec", "--seed", "5", "--", "python", "-c", program) for _ in range(2)]
    first, second = (json.loads(done.stdout) for done in found)
    assert [done.returncode for done in found] == [7, 7]
    assert first[0] == second[0]
    environ = first[2]
    assert (environ["PYTHONHASHSEED"], environ["SAMEBITS_SEED"], environ["OMP_NUM_THREADS"]) == ("5", "5", "1")
    begun = handover.decode(environ)
    assert (begun.pid, begun.typed, begun.code.commit) == (first[1], ["python", "-c", program], head)
    assert begun.set_by_samebits == [
        "CUBLAS_WORKSPACE_CONFIG",
        "OPENBLAS_NUM_THREADS",
        "PYTHONHASHSEED",
        "SAMEBITS_SEED",
    ]


def test_exec_passes_arguments_exactly(project):
    """Empty strings, quotes, spaces, dashes and bytes that are not UTF-8 arrive as typed."""
    words = ["", "a b", "'\"$(x)`", "--", "--seed", "\udcff", "ü"]
    program = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    done = subprocess.run(["samebits", "exec", "--", "python", "-c", program, *words], env=project.variables(),
                          cwd=project.root, check=True, capture_output=True)  # fmt: skip
    assert done.stdout == b"\0".join(map(os.fsencode, words))


def test_exec_makes_the_projects_own_store_folder(project):
    """A tracking store in .samebits finds its folder, ignored by git."""
    project.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{project.root}/.samebits/mlflow.db"
    (project.root / ".samebits" / "mlflow.db").unlink()
    (project.root / ".samebits" / ".gitignore").unlink()
    (project.root / ".samebits").rmdir()
    assert project.start("samebits", "exec", "--", "true").returncode == 0
    assert (project.root / ".samebits" / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["samebits", "exec", "--", "no-such-program"], 127, "not found on PATH"),
        (["samebits", "exec", "--", "/etc/passwd"], 126, "executable file"),
        (["samebits", "exec", "--"], 3, "No program to start"),
        (["samebits", "exec", "python", "t.py"], 3, "Unrecognized arguments"),
        (["samebits", "exec"], 3, "No program to start"),
        (["samebits", "exec", "--seed", "-1", "--", "true"], 3, "a whole number"),
        (["samebits", "exec", "--seed", "x", "--", "true"], 3, "a whole number"),
    ],
)
def test_what_cannot_be_started_is_said_in_one_paragraph(project, command, code, words):
    """Each wrong command ends with its own code and one line that says what is wrong."""
    done = project.start(*command)
    assert done.returncode == code
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
