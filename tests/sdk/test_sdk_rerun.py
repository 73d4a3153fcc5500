"""Reruns of real programs in real repositories: the verdict, its exit code, and what it is attributed to."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

TRAIN = """\
import mlflow
import samebits

samebits.autolog()
FACTOR = 3

with open(samebits.dataset("data/rows.txt", name="rows")) as file:
    rows = [float(line) for line in file]
with mlflow.start_run():
    mlflow.log_param("rows", len(rows))
    for step in range(3):
        mlflow.log_metric("loss", sum(rows) * FACTOR / (step + 3), step=step)
    mlflow.log_text(repr(max(rows)), "max.txt")
"""


RANDOM = """\
import random
import mlflow
import samebits

samebits.autolog()
with mlflow.start_run():
    mlflow.log_metric("draw", random.random())
"""

# Variables outside of the allow-list pass from the rerun's environment to the program, and decide here what it does.
MOODY = """\
import os, random, sys, time
mood = os.environ.get("MOOD", "0.5")
if mood == "fail":
    sys.exit("no such table: flights")
if mood == "quit":
    sys.exit(0)
if mood == "wait":
    print("waiting", os.getpid(), flush=True)
    time.sleep(600)
import mlflow
import samebits

samebits.autolog()
with mlflow.start_run():
    mlflow.log_metric("value", random.random() if mood == "random" else float(mood))
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory, installed, empty_store, make_project):
    """A project with one recorded run; tests work on copies of it."""
    project = make_project(tmp_path_factory.mktemp("template"))
    project.write("train.py", TRAIN)
    project.write(".gitignore", "/data/\n")
    project.write("data/rows.txt", "0.1\n0.2\n0.7\n")
    project.commit()
    return project, project.record("python", "train.py", "--note", "two words")


@pytest.fixture
def recorded(template, tmp_path, make_project):
    """The recorded project, and the id of its run."""
    original, run = template
    project = make_project(tmp_path)
    shutil.rmtree(project.root)
    shutil.copytree(original.root, project.root, symlinks=True)
    return project, run


@pytest.fixture(scope="module")
def moody(tmp_path_factory, make_project):
    """A project with a run of a program that does as MOOD says when it is repeated."""
    project = make_project(tmp_path_factory.mktemp("moody"))
    return project, record_program(project, MOODY)


def record_program(project, text, *options):
    project.write("train.py", text)
    project.commit()
    return project.record("python", "train.py", options=options)


def test_an_unchanged_run_is_identical(recorded):
    """The same commit, data and closure give IDENTICAL and 0, on a new run that is linked and carries the verdict.

    The user's tree stays as it is, hooks do not run, and worktrees go: this rerun's and one of a killed rerun.
    """
    project, run = recorded
    stale = project.root / ".samebits" / "worktrees" / "0123456789ab"  # of a rerun that was killed
    stale.parent.mkdir(exist_ok=True)
    project.git("worktree", "add", "--detach", "--quiet", str(stale))
    stale.with_suffix(".lock").touch()
    hook = project.root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {project.root.parent}/hook-ran\n")
    hook.chmod(0o755)
    result = project.samebits("rerun", run, OMP_NUM_THREADS="2")  # the recorded 1 is what counts
    assert (result.code, result.last.split(":")[0]) == (0, "IDENTICAL"), result
    assert "3 values of 1 metrics, 1 params, 1 files agree bit by bit" in result.last
    (new,) = set(project.runs()) - {run}
    stored = project.client().get_run(new)
    assert stored.data.tags["samebits.rerun_of"] == run
    assert stored.data.tags["samebits.verdict"] == "IDENTICAL"
    verdict = json.loads(Path(project.client().download_artifacts(new, "samebits/verdict.json")).read_text())
    assert verdict["run"] == run
    assert {one["name"]: one["state"] for one in verdict["dimensions"]} == dict.fromkeys(
        ("code", "data", "closure", "seed", "numerics", "arguments"), "same"
    )
    assert project.git("status", "--porcelain") == ""
    assert project.leftovers() == []
    assert not (project.root.parent / "hook-ran").exists()
    project.git("worktree", "add", "--detach", "--quiet", str(stale))
    assert (project.root.parent / "hook-ran").exists(), "the hook works at all"


def test_a_dry_run_prints_the_plan_and_executes_nothing(recorded):
    """--dry-run shows commit, command and data, makes no run and no worktree."""
    project, run = recorded
    result = project.samebits("rerun", run[:8], "--dry-run")
    assert result.code == 0
    assert f"a fresh worktree at {project.git('rev-parse', 'HEAD')}" in result.out
    assert "python train.py --note 'two words'" in result.out
    assert "data/rows.txt" in result.out
    assert project.samebits("rerun", run, "--dry-run", "--json").json["command"][-1] == "two words"
    assert project.runs() == [run]
    assert project.leftovers() == []


def test_another_byte_of_code_is_attributed_to_code(recorded):
    """With the tree as it is here, a changed constant is DIFFERENT, by value, step, distance, and due to the code."""
    project, run = recorded
    project.write("train.py", TRAIN.replace("FACTOR = 3", "FACTOR = 4"))
    result = project.samebits("rerun", run, "--here", "code", "--json")
    assert (result.code, result.json["verdict"], result.json["attributed_to"]) == (1, "DIFFERENT", ["code"])
    (metric,) = result.json["comparison"]["metrics"]
    assert (metric["key"], metric["step"], metric["old"]["repr"]) == ("loss", 0, "1.0")
    assert metric["ulps"] == 0x3FF5555555555555 - 0x3FF0000000000000
    assert "train.py" in result.json["sentence"]


def test_other_code_with_the_same_results_proves_nothing(recorded):
    """Equal outputs of another commit are INCONCLUSIVE, and the user's own tree says nothing about the recorded one."""
    project, run = recorded
    project.write("train.py", TRAIN + "# a comment\n")
    project.commit()
    result = project.samebits("rerun", run, "--here", "code", "--json")
    assert (result.code, result.json["attributed_to"]) == (2, ["code"])
    dry = project.samebits("rerun", run, "--dry-run")
    assert dry.code == 0
    assert "plays no part: the recorded commit is executed" in dry.out


def test_another_byte_of_data_is_refused_then_attributed_to_data(recorded):
    """Changed data is INCONCLUSIVE without executing anything; with --here data it is DIFFERENT, due to the data."""
    project, run = recorded
    project.write("data/rows.txt", "0.1\n0.2\n0.8\n")
    refused = project.samebits("rerun", run, "--json")
    assert (refused.code, refused.json["attributed_to"], refused.json["reruns"]) == (2, ["data"], [])
    assert "restore it, or pass `--here data`" in refused.json["sentence"]
    result = project.samebits("rerun", run, "--here", "data", "--json")
    assert (result.code, result.json["verdict"], result.json["attributed_to"]) == (1, "DIFFERENT", ["data"])


def test_missing_data_is_refused(recorded):
    """A dataset that is gone is INCONCLUSIVE, named, and nothing is executed."""
    project, run = recorded
    (project.root / "data/rows.txt").unlink()
    for options in ([], ["--here", "data"]):
        result = project.samebits("rerun", run, *options, "--json")
        assert (result.code, result.json["attributed_to"], result.json["reruns"]) == (2, ["data"], [])


def test_another_closure_is_refused_with_both_ids_and_the_command(recorded, manifest):
    """In another closure the verdict names both ids and how to enter the recorded one; nothing is executed."""
    project, run = recorded
    other = manifest("two", "sha256:" + "2" * 64)
    result = project.samebits("rerun", run, SAMEBITS_CLOSURE=str(other))
    recorded_id, here_id = (json.loads(Path(path).read_text())["closure_id"]
                            for path in (project.environ["SAMEBITS_CLOSURE"], other))  # fmt: skip
    assert result.code == 2
    assert recorded_id in result.last
    assert here_id in result.last
    assert "--here closure" in result.last
    assert project.runs() == [run]


def test_equal_results_in_another_closure_prove_nothing(recorded, manifest):
    """--here closure executes; equal outputs there are INCONCLUSIVE, due to the closure."""
    project, run = recorded
    other = manifest("two", "sha256:" + "2" * 64)
    result = project.samebits("rerun", run, "--here", "closure", "--json", SAMEBITS_CLOSURE=str(other))
    assert (result.code, result.json["attributed_to"]) == (2, ["closure"])
    assert len(result.json["reruns"]) == 1


def test_another_recipe_with_the_same_bits_is_as_good(recorded, manifest):
    """Another closure_id with the same content_id may prove the run, and the verdict says so."""
    project, run = recorded
    result = project.samebits("rerun", run, SAMEBITS_CLOSURE=str(manifest("two")))
    assert result.code == 0
    assert "another recipe, the same bits" in result.out


def test_the_same_recipe_with_other_bytes_is_refused(recorded, manifest):
    """One closure_id with two content_ids is INCONCLUSIVE: the recipe is not deterministic."""
    project, run = recorded
    result = project.samebits("rerun", run, SAMEBITS_CLOSURE=str(manifest("one", "sha256:" + "2" * 64)))
    assert result.code == 2
    assert "not deterministic" in result.last


@pytest.mark.parametrize("damage", ["absent", "edited"])
def test_outside_of_a_closure_nothing_is_proven(recorded, manifest, damage):
    """Without a closure, or with a manifest that contradicts itself, the recorded closure is not the one here."""
    project, run = recorded
    path = manifest("two")
    if damage == "edited":
        path.write_text(path.read_text().replace("sha256:1", "sha256:0", 1))
    else:
        path = path.with_name("absent.json")
    result = project.samebits("rerun", run, "--json", SAMEBITS_CLOSURE=str(path))
    assert (result.code, result.json["attributed_to"], result.json["reruns"]) == (2, ["closure"], [])


def test_nondeterminism_is_established_by_two_reruns(moody):
    """Two reruns that deviate from the run and from each other are the program's own nondeterminism."""
    project, run = moody
    result = project.samebits("rerun", run, "--twice", "--json", MOOD="random")
    assert (result.code, result.json["attributed_to"], len(result.json["reruns"])) == (1, ["nondeterminism"], 2)


def test_a_cause_outside_of_the_record_is_not_called_nondeterminism(moody):
    """Where both reruns agree with each other but not with the run, the verdict says that nothing recorded differs."""
    project, run = moody
    result = project.samebits("rerun", run, "--twice", "--json", MOOD="2")
    assert (result.code, result.json["attributed_to"]) == (1, ["unrecorded"])


def test_a_failing_rerun_is_an_error_with_its_last_lines(moody):
    """A program that fails only when repeated ends in 3, shows what it said, and leaves no worktree."""
    project, run = moody
    result = project.samebits("rerun", run, MOOD="fail")
    assert result.code == 3
    assert "no such table: flights" in result.err.splitlines()[-1]
    assert project.leftovers() == []


def test_a_rerun_that_records_nothing_is_an_error(moody):
    """A repeated program without a run of its own ends in 3, not in a verdict on some other run."""
    project, run = moody
    result = project.samebits("rerun", run, MOOD="quit")
    assert result.code == 3
    assert "no MLflow run that carries this rerun's token" in result.err


def test_a_terminated_rerun_ends_its_program_and_removes_its_worktree(moody):
    """SIGTERM to the rerun kills the program it started and leaves no worktree behind."""
    project, run = moody
    rerun = subprocess.Popen(["samebits", "rerun", run], cwd=project.root, env=project.variables() | {"MOOD": "wait"},
                             stderr=subprocess.PIPE, text=True)  # fmt: skip
    seen = next(line for line in rerun.stderr if "waiting" in line)
    rerun.send_signal(signal.SIGTERM)
    rerun.communicate()
    assert rerun.returncode == 128 + signal.SIGTERM
    assert project.leftovers() == []
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # the kernel takes a moment to reap what init adopted
            os.kill(int(seen.split()[1]), 0)
            time.sleep(0.05)


def test_a_run_recorded_outside_of_a_closure_is_at_best_inconclusive(project):
    """closure: none in the record lets the rerun execute, but equal outputs stay INCONCLUSIVE."""
    del project.environ["SAMEBITS_CLOSURE"]
    run = record_program(project, RANDOM.replace("random.random()", "0.5"))
    result = project.samebits("rerun", run, "--json")
    assert (result.code, result.json["attributed_to"]) == (2, ["closure"])
    assert result.json["comparison"]["metrics"] == []


def test_a_seed_makes_the_same_program_identical(project):
    """--seed given to exec seeds the program's `random`, in the run and in its rerun."""
    run = record_program(project, RANDOM, "--seed", "7")
    assert project.samebits("rerun", run).code == 0


DIRTY = RANDOM.replace("random.random()", "part.VALUE + len(open('blob.bin', 'rb').read())").replace(
    "import random\n", "import part\n"
)


@pytest.fixture
def dirty(project):
    """A project whose run needs a changed file, an untracked module and untracked bytes; then all of it is gone."""
    project.write(".gitignore", "__pycache__/\n")
    project.write("train.py", "raise SystemExit('not this one')\n")
    project.commit()
    project.write("train.py", DIRTY)
    project.write("part.py", "VALUE = 0.5\n")
    (project.root / "blob.bin").write_bytes(bytes(range(256)))
    run = project.record("python", "train.py")
    project.git("checkout", "-q", "--", "train.py")
    for name in ("part.py", "blob.bin"):
        (project.root / name).unlink()
    return project, run


def test_a_dirty_run_is_repeated_from_its_snapshot(dirty):
    """What it ran is in no commit and no longer in the tree: the snapshot is executed, and the verdict is as strong."""
    project, run = dirty
    refs = project.git("for-each-ref")
    assert project.client().get_run(run).data.tags["samebits.commit"] == "dirty"
    result = project.samebits("rerun", run)
    assert (result.code, result.last.split(":")[0]) == (0, "IDENTICAL"), result
    assert "its snapshot is executed" in result.out
    assert "snapshot " in project.samebits("show", run).out
    assert (project.git("for-each-ref"), project.git("status", "--porcelain")) == (refs, "")
    assert project.leftovers() == []


def test_the_tree_as_it_is_here_is_other_code_than_the_snapshot(dirty):
    """--here code with the very content of then proves the same; with other content the difference is the code's."""
    project, run = dirty
    for value, code in (("0.5", 0), ("0.25", 1)):
        project.write("train.py", DIRTY)
        project.write("part.py", f"VALUE = {value}\n")
        (project.root / "blob.bin").write_bytes(bytes(range(256)))
        result = project.samebits("rerun", run, "--here", "code")
        assert result.code == code, result
    assert "Attributed to code" in result.last


def test_an_exchanged_snapshot_is_not_executed(dirty):
    """The pack has to be the one that the record names."""
    project, run = dirty
    pack = Path(project.client().get_run(run).info.artifact_uri.removeprefix("file://"), "samebits/code.pack")
    original = pack.read_bytes()
    pack.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    refused = project.samebits("rerun", run)
    assert (refused.code, "not the one that its record names" in refused.err) == (3, True), refused
    pack.unlink()
    gone = project.samebits("rerun", run)
    assert (gone.code, "is gone" in gone.err) == (3, True), gone
    assert project.runs() == [run]


def test_a_dirty_run_with_a_secret_is_recorded_without_its_content(project):
    """The files are named, the reason is given, nothing is uploaded; --here code executes what is here."""
    project.write("train.py", RANDOM.replace("random.random()", "0.5"))
    project.commit()
    project.write("settings.py", 'aws = "AKIA' + "IOSFODNN7ABCDEFG" + '"\n')
    run = project.record("python", "train.py")
    assert {item.path for item in project.client().list_artifacts(run, "samebits")} == {"samebits/record.json"}
    refused = project.samebits("rerun", run, "--json")
    assert (refused.code, refused.json["attributed_to"], refused.json["reruns"]) == (2, ["code"], [])
    assert "? settings.py" in refused.json["sentence"]
    assert "settings.py, line 1, looks like a secret (AWS Access Key)" in refused.json["sentence"]
    assert "have git ignore the file" in refused.json["sentence"]
    assert project.samebits("rerun", run, "--here", "code").code == 2


def test_results_from_the_users_tree_are_not_taken_for_the_commits(project):
    """A rerun that imports from the user's tree, as an editable install does, is INCONCLUSIVE, due to code."""
    project.write("lib/part.py", "VALUE = 0.5\n")
    text = f"import sys\nsys.path.insert(0, {str(project.root / 'lib')!r})\nimport part\n" + RANDOM
    run = record_program(project, text.replace("random.random()", "part.VALUE"))
    result = project.samebits("rerun", run, "--json")
    assert (result.code, result.json["attributed_to"]) == (2, ["code"])
    assert "lib/part.py from your tree" in result.json["sentence"]


def test_paths_in_the_command_lead_where_they_should(project):
    """A script given by absolute path is the worktree's; an interpreter that git ignores is the user's own."""
    project.write(".gitignore", "/.venv\n")
    (project.root / ".venv").symlink_to(project.bin.parent)
    project.write("train.py", RANDOM.replace("random.random()", "0.5"))
    project.commit()
    script = project.root / "train.py"
    run = project.record(".venv/bin/python", str(script), f"--config={script}")
    project.write("train.py", RANDOM)
    result = project.samebits("rerun", run)
    assert result.code == 0, result


def test_a_later_run_of_a_process_is_matched_with_its_like(project):
    """The second run of a process is compared with the second run of the repeated process."""
    text = RANDOM.replace("with mlflow", "for value in (1.0, 2.0):\n  with mlflow")
    text = text.replace("    mlflow.log_metric", "      mlflow.log_metric").replace("random.random()", "value")
    project.write("train.py", text)
    project.commit()
    assert project.start("samebits", "exec", "--", "python", "train.py").returncode == 0
    runs = {project.client().get_run(run).data.metrics["draw"]: run for run in project.runs()}
    result = project.samebits("rerun", runs[2.0])
    assert result.code == 0, result


def test_sklearn_autolog_models_compare_by_content(project):
    """Runs made by MLflow's own autologger, with its model and files, are recorded and come out IDENTICAL."""
    pytest.importorskip("sklearn")
    run = record_program(project, """\
import warnings
warnings.filterwarnings("ignore")
import mlflow
import samebits
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

samebits.autolog()
mlflow.sklearn.autolog(log_input_examples=True)
mlflow.set_experiment("own experiment")
LogisticRegression().fit(*make_classification(random_state=1))
""")  # fmt: skip
    result = project.samebits("rerun", run, "--json")
    assert result.code == 0, result
    assert result.json["comparison"]["metrics_compared"] >= 5
    assert result.json["comparison"]["files_compared"] >= 6  # five of the model, one of the run
    assert project.git("status", "--porcelain") == ""


def test_a_commit_that_is_gone_is_an_error_saying_where_to_look(recorded):
    """When git has lost the commit, the rerun ends in 3 and names the commit."""
    project, run = recorded
    head = project.git("rev-parse", "HEAD")
    shutil.rmtree(project.root / ".git")
    project.git("init", "-q", "-b", "main")
    project.write("other.py", "")
    project.commit()
    result = project.samebits("rerun", run)
    assert result.code == 3
    assert head in result.err
    assert "another repository" in result.err
