"""autolog() and dataset(): what each kind of MLflow run carries afterwards, and that recording harms no experiment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from samebits import record as records


def read(project, run):
    """The run's record, as the store keeps it."""
    return records.from_bytes(Path(project.client().download_artifacts(run, records.ARTIFACT)).read_bytes())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, make_project):
    """One run of a module in a package below the root, with everything there is to record."""
    project = make_project(tmp_path_factory.mktemp("recorded"))
    project.environ |= {"SAMEBITS_IMAGE": "sha256:" + "d" * 64, "SAMEBITS_FLAKE": "git+file:///x#workspace",
                        "SECRET_TOKEN": "hunter2"}  # fmt: skip
    project.write(".gitignore", "data/\n")
    project.write("code/data/rows.txt", "1\n")
    project.write("code/pkg/__init__.py", "")
    project.write("code/pkg/train.py", """\
import samebits
samebits.autolog(seed=99)
import random
first = random.random()
import numpy
samebits.dataset("data/rows.txt", name="rows ü")
import mlflow
with mlflow.start_run(tags={"own": "tag"}):
    mlflow.log_metric("python", first)
    mlflow.log_metric("numpy", numpy.random.rand())
""")  # fmt: skip
    project.commit()
    (run,) = [project.record("python", "-m", "pkg.train", "", "a b", "\udcff", cwd="code", options=("--seed", "5"))]
    return project, run, read(project, run)


def test_tags_say_it_short(recorded):
    """Commit, entry, arguments, closure, image and flake are searchable tags beside the user's own."""
    project, run, record = recorded
    tags = project.client().get_run(run).data.tags
    assert tags["own"] == "tag"
    assert tags["samebits.commit"] == project.git("rev-parse", "HEAD")
    assert (tags["samebits.entry"], tags["samebits.args"]) == ("pkg.train", "'' 'a b' '\\udcff'")
    assert (tags["samebits.record"], tags["samebits.ordinal"]) == ("1", "1")
    assert tags["samebits.closure_id"] == record.closure.closure_id
    assert tags["samebits.image"] == "sha256:" + "d" * 64
    assert "samebits.rerun_of" not in tags


def test_the_entry_is_exact(recorded):
    """Module, arguments with undecodable bytes, command as typed, and the folder it ran in."""
    _, _, record = recorded
    assert (record.entry.kind, record.entry.name, record.entry.cwd) == ("module", "pkg.train", "code")
    assert record.entry.arguments == ["", "a b", "\udcff"]
    assert record.entry.typed == ["python", "-m", "pkg.train", "", "a b", "\udcff"]
    assert record.entry.python == record.entry.typed


def test_the_code_was_read_before_the_start(recorded):
    """A clean commit, read by exec, with modules counted from the repository only."""
    project, _, record = recorded
    head = project.git("rev-parse", "HEAD")
    assert (record.code.commit, record.code.head, record.code.read_at) == (head, head, "exec")
    assert record.code.repository == [head]
    assert (record.modules.repository, record.modules.outside) == (2, [])


def test_only_allowed_variables_are_recorded_with_who_set_them(recorded):
    """Determinism settings are there with their origin; secrets and the rest are not."""
    _, _, record = recorded
    by = {name: (variable.value, variable.by) for name, variable in record.environment.items()}
    assert by["OMP_NUM_THREADS"] == ("1", "user")
    assert by["PYTHONHASHSEED"] == ("5", "samebits")
    assert by["SAMEBITS_SEED"] == ("5", "samebits")
    assert "hunter2" not in records.to_bytes(record).decode()
    assert "PATH" not in by


def test_the_seed_of_exec_wins_and_reaches_later_imports(recorded):
    """random is seeded by autolog, numpy at its import, with the seed of exec, not the program's."""
    import random

    project, run, record = recorded
    assert (record.seed.value, record.seed.by, record.seed.hash_seed) == (5, "exec", "5")
    assert record.seed.applied == {"random": "autolog", "numpy": record.seed.applied["numpy"]}
    metrics = project.client().get_run(run).data.metrics
    assert metrics["python"] == random.Random(5).random()  # noqa: S311
    numpy = pytest.importorskip("numpy")
    assert metrics["numpy"] == numpy.random.RandomState(5).rand()


def test_a_dataset_is_an_input_and_in_the_record(recorded):
    """Full sha256 in the record, its first 36 digits as MLflow's digest."""
    project, run, record = recorded
    (dataset,) = record.datasets
    assert (dataset.name, dataset.path, dataset.in_repository) == ("rows ü", "code/data/rows.txt", True)
    (logged,) = project.client().get_run(run).inputs.dataset_inputs
    assert (logged.dataset.name, logged.dataset.digest) == ("rows ü", dataset.sha256[:36])
    assert json.loads(logged.dataset.profile)["sha256"] == dataset.sha256


def test_the_closure_and_what_is_not_known_are_there(recorded):
    """Both ids, image and flake; effective numerics; and what was not recorded or checked, in sentences."""
    _, _, record = recorded
    assert record.closure.kind == "image"
    assert record.closure.flake == "git+file:///x#workspace"
    assert {"cpu.model", "cpu.flags_sha256", "libc", "version.numpy", "numpy.cpu_features"} <= set(record.numerics)
    assert record.not_checked
    assert not any("exec" in line for line in record.not_recorded)


def test_show_prints_all_of_it_and_cannot_drive_a_terminal(recorded):
    """`show` names every part for people, spells out odd bytes, and --json is the record itself."""
    project, run, record = recorded
    shown = project.samebits("show", run[:10])
    assert shown.code == 0
    for part in (record.code.commit, record.closure.content_id, record.datasets[0].sha256, "'a b'", "not checked"):
        assert part in shown.out
    assert shown.out.replace("\n", "").isprintable()
    assert project.samebits("show", run, "--json").out.encode() == records.to_bytes(record)


MANY = """\
import os, sys, threading
import mlflow
import samebits
samebits.autolog()
samebits.autolog()
client = mlflow.MlflowClient()
with mlflow.start_run(run_name="parent"):
    with mlflow.start_run(run_name="child", nested=True):
        pass
explicit = client.create_run("0", run_name="explicit")
client.set_terminated(explicit.info.run_id)
mlflow.end_run()
mlflow.start_run(run_id=os.environ["RESUMED"])
mlflow.end_run()
try:
    with mlflow.start_run(run_name="crashed"):
        raise ValueError
except ValueError:
    pass
mlflow.start_run(run_name="left open")
"""


def test_every_way_to_make_a_run_is_recorded(project):
    """Nested, explicit, resumed, crashed and never-ended runs of a process all end with a record of their own."""
    resumed = project.client().create_run("0", run_name="resumed").info.run_id
    project.write("many.py", MANY)
    project.commit()
    project.environ["RESUMED"] = resumed
    done = project.start("python", "many.py")  # without exec, which the records say
    assert done.returncode == 0, done.stderr
    client = project.client()
    found = {run.info.run_name: run for run in client.search_runs(["0"])}
    kept = {name: read(project, run.info.run_id) for name, run in found.items()}
    assert set(kept) == {"parent", "child", "explicit", "resumed", "crashed", "left open"}
    assert {name: record.run.status for name, record in kept.items() if record.run.status != "FINISHED"} == {
        "crashed": "FAILED"
    }
    assert [kept[name].run.ordinal for name in ("parent", "child", "explicit", "crashed")] == [1, 2, 3, 5]
    assert any("started by another process" in line for line in kept["resumed"].not_recorded)
    assert found["resumed"].data.tags["samebits.commit"] == project.git("rev-parse", "HEAD")
    assert any("not started by `samebits exec`" in line for line in kept["parent"].not_recorded)
    assert (kept["parent"].code.read_at, kept["parent"].seed.hash_seed) == ("autolog", "random")
    crashed = project.samebits("rerun", found["crashed"].info.run_id)
    assert (crashed.code, "ended as FAILED" in crashed.last) == (2, True)


BROKEN = """\
import mlflow
import samebits
from samebits import session, store
if {nothing}:
    store.instrument = lambda recorder: 1 / 0
samebits.autolog(seed=1)
sound = session.Session.starting, session.Session.ending, mlflow.MlflowClient.log_text
with mlflow.start_run():
    session.Session.starting = lambda self: 1 / 0
with mlflow.start_run():
    session.Session.starting = sound[0]
    session.Session.ending = lambda self, run, status: 1 / 0
with mlflow.start_run():
    session.Session.ending = sound[1]
    mlflow.MlflowClient.log_text = lambda *a: open("/proc/self/x", "w")
print("still here")
"""


@pytest.mark.parametrize(
    ("nothing", "words"),
    [
        (True, {"samebits records nothing": 1}),
        (False, {"could not record the start": 1, "could not record the end": 2}),
    ],
)
def test_failing_to_record_fails_no_experiment(project, nothing, words):
    """Whatever breaks in recording is a warning; the runs exist, are finished, and the program goes on."""
    project.environ["PYTHONWARNINGS"] = "always"
    project.write("train.py", BROKEN.format(nothing=nothing))
    project.commit()
    done = project.start("python", "train.py")
    assert (done.returncode, done.stdout) == (0, "still here\n"), done.stderr
    assert {sentence: done.stderr.count(sentence) for sentence in words} == words, done.stderr
    assert [project.client().get_run(run).info.status for run in project.runs()] == ["FINISHED"] * 3


def test_outside_of_a_repository_the_rest_is_recorded(project, tmp_path):
    """Without git the record says so and holds everything else; a rerun from there is refused as an error."""
    outside = tmp_path / "outside"
    outside.mkdir()
    program = "import mlflow, samebits\nsamebits.autolog(seed=1)\nwith mlflow.start_run(): pass\n"
    (outside / "train.py").write_text(program)
    done = subprocess.run(["samebits", "exec", "--", "python", "train.py"], cwd=outside, env=project.variables(),
                          check=False, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (run,) = project.runs()
    record = read(project, run)
    assert (record.code.commit, record.entry.cwd) == ("none", None)
    assert "not inside a git repository" in record.code.reason
    assert record.seed.applied["random"] == "autolog"
    project.write("x.py", "")
    project.commit()
    refused = project.samebits("rerun", run)
    assert (refused.code, "no commit was recorded" in refused.last) == (2, True)


def test_importing_samebits_is_free():
    """`import samebits` loads neither MLflow nor anything that takes time, such as typing or json."""
    source = Path(records.__file__).parents[1]
    program = "import sys; before = set(sys.modules); import samebits; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", program], env=os.environ | {"PYTHONPATH": str(source)},
                          check=True, capture_output=True, text=True)  # fmt: skip
    assert done.stdout.split() == ["__future__", "samebits"]
