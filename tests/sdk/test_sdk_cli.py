"""The command line's errors: one paragraph each, exit code 3, and never another library's exception."""

import json
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samebits import cli, store
from samebits import record as records

ENTRY = ["python", "t.py"]
AUTHOR = ["-c", "user.name=Tester", "-c", "user.email=tester@example.invalid"]


def plant(project, data=None, **changes):
    """A finished run that carries `data` as its record; by default a valid one with `changes` applied to it."""
    client = project.client()
    run = client.create_run("0").info.run_id
    if data is None:
        head = project.git("rev-parse", "HEAD")
        made = {
            "run": {"session": "s", "ordinal": 1, "status": "FINISHED", "rerun_of": None},
            "code": {"commit": head, "head": head, "reason": None, "read_at": "exec", "repository": [], "changed": [],
                     "changed_total": 0, "store_files": [], "snapshot": None},
            "entry": {"kind": "script", "name": "t.py", "typed": ENTRY, "python": ENTRY, "arguments": [], "cwd": "."},
            "environment": {}, "seed": {"value": None, "by": None, "hash_seed": "0", "applied": {}}, "datasets": [],
            "closure": json.loads(closure(project)), "numerics": {}, "modules": {"repository": 1, "outside": []},
            "python": "cpython", "samebits": "0.1.0", "not_recorded": [], "not_checked": [], "version": 1,
        }  # fmt: skip
        for path, value in changes.items():
            section, _, name = path.partition("__")
            made[section] = value if not name else {**made[section], name: value}
        data = json.dumps(made)
    client.log_text(run, data, records.ARTIFACT)
    client.set_terminated(run)
    return run


def closure(project):
    manifest = json.loads(Path(project.environ["SAMEBITS_CLOSURE"]).read_text())
    return json.dumps({"kind": "image", "reason": None, "image": None, "flake": None}
                      | {key: manifest[key] for key in ("name", "system", "root", "closure_id", "content_id")})  # fmt: skip


@pytest.fixture
def ready(project):
    """A project with a commit, whose program leaves a trace when it is executed."""
    project.write("t.py", "print(1)\n")
    project.write("sub/x", "")
    project.commit()
    return project


def refusal(result, words):
    assert result.code == 3, result
    assert result.out == ""
    (line,) = result.err.strip().splitlines()
    assert line.startswith("samebits: ")
    assert re.search(words, line), line


def test_runs_that_cannot_be_found(ready):
    """Unknown ids, texts that are no ids, and ambiguous beginnings."""
    refusal(ready.samebits("show", "abcd1234"), "There is no run abcd1234")
    for text in ("abc", "xyz123", "%%%%", "a' OR '", "", "0" * 33):
        refusal(ready.samebits("show", text), "is not a run id")
    runs = [plant(ready), plant(ready)]
    with sqlite3.connect(ready.store) as database:
        for number, run in enumerate(runs):
            database.execute("UPDATE runs SET run_uuid = ? WHERE run_uuid = ?", (f"feed{number}" + run[5:], run))
    refusal(ready.samebits("rerun", "feed"), "2 runs begin with feed: feed0.*feed1")


def test_a_run_by_another_client_is_no_record(ready):
    """A run without a record is told from a malformed one, and the status is shown."""
    run = ready.client().create_run("0").info.run_id
    refusal(ready.samebits("rerun", run), "has no samebits record.*RUNNING")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 7}, "version 7; this samebits reads up to 1"),
        ({"entry__cwd": "../.."}, "climbs out"),
        ({"entry__typed": []}, None),
        ({"entry__typed": [], "entry__python": []}, "no command to repeat"),
        ({"entry__typed": [""]}, "no command to repeat"),
        ({"entry__typed": {"a": 1}}, "expected list"),
        ({"environment": {"LD_PRELOAD": {"value": "/lib/x.so", "by": "user"}}}, "LD_PRELOAD.*never records"),
        ({"environment": {"PATH": {"value": "/opt", "by": "user"}}}, "PATH.*never records"),
        ({"code__commit": "--help"}, "neither a commit id"),
        ({"code__commit": "f" * 40, "code__head": "f" * 40}, "rebased away or never pushed"),
        ({"entry__cwd": "absent"}, "working directory absent is not in the tree"),
        ({"entry__typed": ["no-such-program"]}, "could not be started"),
    ],
)
def test_hostile_and_impossible_records_execute_nothing(ready, changes, words, tmp_path):
    """Each is refused by name, nothing runs, and no worktree stays behind."""
    trace = tmp_path / "executed"
    ready.write("t.py", f"open({str(trace)!r}, 'w')\nraise SystemExit(1)\n")
    ready.commit()
    run = plant(ready, **changes)
    result = ready.samebits("rerun", run)
    if words is None:  # the control: this one does execute, so the trace can tell
        assert trace.exists()
        assert result.code == 3
        return
    assert result.code == 3
    assert re.search(words, result.err)
    assert not trace.exists()
    assert ready.leftovers() == []


def test_a_submodule_is_not_pretended(ready, tmp_path):
    """A commit with submodules is refused: its worktree would lack their files."""
    part = tmp_path / "part"
    for command in (["init", "-q", str(part)], [*AUTHOR, "-C", str(part), "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *command], check=True)
    ready.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "part")
    ready.commit()
    result = ready.samebits("rerun", plant(ready))
    assert (result.code, "submodules" in result.last) == (2, True)


def test_metacharacters_are_words_not_commands(ready, tmp_path):
    """A command line full of shell syntax is passed as it is: nothing expands, nothing else is started."""
    trace = tmp_path / "executed"
    run = plant(ready, entry__typed=["echo", f"; touch {trace}", "$(touch x)", "`id`", "| cat", "> y"])
    result = ready.samebits("rerun", run)
    assert result.code == 3
    assert f"; touch {trace} $(touch x) `id` | cat > y" in result.err
    assert "logged no MLflow run" in result.err
    assert not trace.exists()
    assert ready.git("status", "--porcelain") == ""


def test_a_dataset_outside_is_hashed_but_never_placed(ready, tmp_path):
    """An absolute dataset path is compared where it is; the plan puts nothing there."""
    outside = tmp_path / "outside"
    outside.write_text("x")
    dataset = {"name": "o", "path": str(outside), "in_repository": False, "kind": "file", "sha256": "0" * 64, "size": 1,
               "files": 1}  # fmt: skip
    result = ready.samebits("rerun", plant(ready, datasets=[dataset]), "--dry-run", "--json")
    assert (result.code, result.json["data"]) == (2, [])
    assert result.json["refusals"][0]["dimension"] == "data"


@pytest.mark.parametrize("data", ["", "{", "[]", "null", '{"version": 1}', "\x00", '{"version": 1' + "0" * 5000 + "}"])
def test_records_that_are_none(ready, data):
    """Garbage where the record should be is a RecordError, for show and rerun alike."""
    run = plant(ready, data or " ")
    for command in ("show", "rerun"):
        refusal(ready.samebits(command, run), "record")


def test_an_enormous_record_is_not_downloaded(ready, monkeypatch):
    """The size the store lists is enough to refuse it."""
    run = plant(ready)
    monkeypatch.setattr(records, "MAX_BYTES", 10)
    monkeypatch.setattr(store.tempfile, "TemporaryDirectory", None)
    refusal(ready.samebits("show", run), "records end at 10")


def test_stores_that_do_not_answer(ready, tmp_path):
    """No such file, no database, no server, and a server that hangs up: each names the store."""
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"not a database at all" * 100)
    for uri, words in (
        (f"sqlite:///{tmp_path}/absent.db", "There is no tracking store at"),
        (f"sqlite:///{garbage}", "does not answer as it should"),
        ("http://127.0.0.1:9", "does not answer as it should"),
        ("http://user:hunter2@127.0.0.1:9", r"http://127\.0\.0\.1:9 does not"),
        ("nonsense://x", "does not answer as it should|tracking"),
        (str(tmp_path / "absent"), "There is no tracking store at"),
    ):
        refusal(ready.samebits("show", "abcd1234", MLFLOW_TRACKING_URI=uri), words)
    assert not (tmp_path / "absent.db").exists()
    assert not (tmp_path / "absent").exists()


def test_a_rerun_outside_of_a_repository(ready, tmp_path):
    """Outside of a repository there is nothing to go back to."""
    run = plant(ready)
    outside = tmp_path / "outside"
    outside.mkdir()
    done = subprocess.run(["samebits", "rerun", run], cwd=outside, env=ready.variables(), check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, "not inside a git repository" in done.stderr) == (3, True)


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["rerun"], ["show", "a", "b"], ["rerun", "abcd", "--here", "x"],
                                   ["rerun", "abcd", "--nope"], ["exec", "--seed"]])  # fmt: skip
def test_wrong_command_lines_end_with_three(ready, words):
    """argparse's own exit code would read as INCONCLUSIVE."""
    refusal(ready.samebits(*words), "See `samebits")


def test_an_unforeseen_error_is_still_a_sentence(ready, monkeypatch):
    """Whatever slips through ends as one line that says how to see the rest; SAMEBITS_DEBUG raises it."""
    monkeypatch.setattr(cli.handover, "prepare", lambda *_: 1 / 0)
    refusal(ready.samebits("exec", "--", "true"), "did not foresee: ZeroDivisionError.*SAMEBITS_DEBUG=1")
    with pytest.raises(ZeroDivisionError):
        ready.samebits("exec", "--", "true", SAMEBITS_DEBUG="1")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(words=st.lists(st.sampled_from(["show", "rerun", "exec", "--", "--json", "--here", "code", "--seed", "-1", "\udcff",
                                       "abcd", "%", "--twice"]) | st.text(max_size=5), max_size=4))  # fmt: skip
def test_no_command_line_leaks_a_foreign_exception(ready, words):
    """Any words at all end in one of our exit codes or in help, never in an exception."""
    if words[:1] == ["exec"] and "--" in words[1:-1]:
        return  # that would replace this very process
    try:
        result = ready.samebits(*words)
    except SystemExit as end:  # --help
        assert end.code == 0
    else:
        assert result.code in {1, 2, 3}


def test_a_closed_pipe_is_quiet(ready):
    """`samebits show … | head -1` does not end in a traceback."""
    run = plant(ready)
    done = subprocess.run(["bash", "-c", f"samebits show {run} --json | head -c 1"], cwd=ready.root,
                          env=ready.variables(), check=False, capture_output=True, text=True)  # fmt: skip
    assert (done.stdout, "Traceback" in done.stderr, "Exception ignored" in done.stderr) == ("{", False, False)


def test_the_version_is_the_packages(ready, capsys):
    """--version prints it and ends with 0."""
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0
    assert re.fullmatch(r"samebits \d+\.\d+\.\d+\n", capsys.readouterr().out)
