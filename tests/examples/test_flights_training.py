"""Trainings of the flights example in the workspace image: the same bits twice, and a model that can be used.

What is compared is read from MLflow's database and folders directly: it leans on none of our own code.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NIX = ["nix", "--extra-experimental-features", "nix-command flakes"]

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(shutil.which("nix") is None, reason="Nix is not installed; `make nix` installs it"),
]


@dataclass(frozen=True)
class Outcome:
    """What one training left behind: metrics as raw bits, files by their content, record and words."""

    metrics: list[tuple[str, int, str]]
    files: dict[str, str]
    record: dict
    output: str


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Copy the example and its pinned data to a folder of its own: nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(REPOSITORY / "examples" / "flights" / "flights", folder / "flights")
    command = [*NIX, "build", f"{REPOSITORY}#flights-data", "--no-link", "--json"]
    built = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    shutil.copytree(built[0]["outputs"]["out"], folder / "data", copy_function=shutil.copyfile)
    (folder / "data").chmod(0o755)
    return folder


def run(project: Path, database: str, *command: str) -> str:
    """Run a command in the workspace and give what it prints; its runs go to a database of their own."""
    settings = [
        "env",
        f"MLFLOW_TRACKING_URI=sqlite:///{project}/{database}.db",
        "MLFLOW_DISABLE_TELEMETRY=true",
    ]
    entered = [*NIX, "run", f"{REPOSITORY}#workspace-cpu", "--", *settings, *command]
    result = subprocess.run(entered, cwd=project, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def train(project: Path, database: str, seed: int) -> Outcome:
    """Train for an epoch on a sample and collect the outcome."""
    options = ["--epochs", "1", "--rows", "5000", "--seed", str(seed)]
    output = run(project, database, "python3", "-m", "flights.train", *options)
    with sqlite3.connect(project / f"{database}.db") as connection:
        metrics = [
            (name, step, struct.pack(">d", value).hex())
            for name, step, value in connection.execute("SELECT key, step, value FROM metrics ORDER BY key, step")
        ]
        [(run_folder,)] = connection.execute("SELECT artifact_uri FROM runs")
        [(model_folder,)] = connection.execute("SELECT artifact_location FROM logged_models")
    files = {}
    for folder in (
        project / run_folder.removeprefix("file://"),
        project / model_folder.removeprefix("file://"),
    ):
        for path in folder.rglob("*"):
            if path.is_file():
                files[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    record = json.loads((project / run_folder.removeprefix("file://") / "samebits" / "record.json").read_text())
    return Outcome(metrics, files, record, output)


@pytest.fixture(scope="module")
def first(project):
    """Train with seed 1."""
    return train(project, "first", seed=1)


def test_the_same_seed_gives_the_same_bits(project, first):
    """Metrics, weights, picture and tables of two trainings agree in every bit; only ids and times differ."""
    again = train(project, "again", seed=1)
    assert again.metrics == first.metrics
    different = {name for name in first.files | again.files if first.files.get(name) != again.files.get(name)}
    assert different == {"MLmodel", "samebits/record.json"}
    assert {"data/model.pth", "report.png", "metrics.csv", "encoding.json"} <= set(first.files)


def test_another_seed_gives_other_bits(project, first):
    """Another seed changes the network's weights and metrics, not the baselines': the comparison can fail."""
    other = train(project, "other", seed=2)
    assert other.files["data/model.pth"] != first.files["data/model.pth"]
    changed = {name for (name, *_) in set(first.metrics) ^ set(other.metrics)}
    assert {"train_mae", "val_mae", "test_mae"} <= changed
    assert not {"baseline_median_mae", "baseline_carrier_hour_mae", "baseline_ridge_mae"} & changed


def test_every_data_file_is_recorded_by_its_content(project, first):
    """The record names each file that was read with the sha256 of its bytes."""
    recorded = {dataset["name"]: dataset["sha256"] for dataset in first.record["datasets"]}
    on_disk = {
        name: hashlib.sha256((project / "data" / file).read_bytes()).hexdigest()
        for name, file in [
            ("flights", "flights.csv.zip"),
            ("weather", "weather.csv"),
            ("planes", "planes.csv"),
        ]
    }
    assert recorded == on_disk


def test_the_registered_model_predicts(project, first):
    """Loading the model from the registry, without this project on the path, it predicts for each flight."""
    assert "network" in first.output
    script = (
        "import mlflow, numpy\n"
        "model = mlflow.pyfunc.load_model('models:/flights-delay/1')\n"
        "delays = model.predict(model.input_example)\n"
        "print(len(delays), bool(numpy.isfinite(delays.to_numpy()).all()))"
    )
    assert run(project, "first", "python3", "-P", "-c", script).split() == ["5", "True"]
