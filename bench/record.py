"""What recording a run costs over bare MLflow: the same small run with and without `samebits.autolog()`.

Two processes take turns, each with a database of its own, inside a clone of this repository. Run it in the
workspace: its libraries are part of what is recorded. torch is imported if it is there, as in a training.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from bench.timing import Row, in_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
AIM = 0.050
DIRTY_AIM = 0.100
PEER = "bare MLflow"
PROCESSES = 7
RUNS = 40


def measure(processes: int = PROCESSES, runs: int = RUNS) -> list[Row]:
    """Measure a process' first run, which pays for what is captured once, and the ones after it."""
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
        for kind in ("bare", "recorded"):  # creating a database takes a second; it is not what is measured
            _first_run(Path(folder), clone, kind)
        first = in_turns(
            lambda: _first_run(Path(folder), clone, "recorded"),
            lambda: _first_run(Path(folder), clone, "bare"),
            processes,
        )
        dirty = _dirtied(clone, Path(folder) / "dirty")
        changed = in_turns(
            lambda: _first_run(Path(folder), dirty, "recorded"),
            lambda: _first_run(Path(folder), dirty, "bare"),
            processes,
        )
        with (
            _worker(Path(folder), clone, "recorded") as recorded,
            _worker(Path(folder), clone, "bare") as bare,
        ):
            recorded()
            bare()
            later = in_turns(recorded, bare, runs)
    aim = f"≤ {AIM * 1000:.0f} ms more"
    return [
        Row("record a process' first run, autolog() included", first[0], PEER, first[1], aim, {"excess": AIM}),
        Row(
            "the same in a dirty tree, which is kept",
            changed[0],
            PEER,
            changed[1],
            f"≤ {DIRTY_AIM * 1000:.0f} ms more",
            {"excess": DIRTY_AIM},
        ),
        Row("record each further run", later[0], PEER, later[1], aim, {"excess": AIM}),
    ]


def _dirtied(clone: Path, folder: Path) -> Path:
    """Clone it again, and change what people change: a file of the repository's, and a new one."""
    subprocess.run(["git", "clone", "--quiet", str(clone), str(folder)], check=True)
    with (folder / "examples/flights/flights/module.py").open("a") as module:
        module.write("# another thought\n")
    (folder / "examples/flights/flights/new.py").write_text("VALUE = 1\n" * 200)
    return folder


def _scratch() -> Path:
    """Give a folder that the workspace sees too: of the host's folders it has the project's only."""
    folder = REPOSITORY / ".samebits" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _first_run(folder: Path, clone: Path, kind: str) -> float:
    with _worker(folder, clone, kind) as run:
        return run()


@contextlib.contextmanager
def _worker(folder: Path, clone: Path, kind: str) -> Iterator[Callable[[], float]]:
    """Start a process that has imported MLflow (and torch); the function given makes one run and times it."""
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/{kind}.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "sdk" / "src"), str(REPOSITORY)]),
        "HOME": str(folder),  # the user's own git settings and caches are not what is measured
    }
    command = [sys.executable, "-m", "bench.record", "--worker", kind]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=clone, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        requests, answers = cast("IO[str]", process.stdin), cast("IO[str]", process.stdout)

        def answer() -> str:
            line = answers.readline()
            if not line:
                raise RuntimeError("the process that makes the runs has died; its error stands above")
            return line

        def run() -> float:
            print("run", file=requests, flush=True)
            return float(answer())

        answer()
        yield run
        requests.close()


def work(kind: str) -> None:
    """Be a worker: import, say so, and time one run for each line of standard input."""
    import mlflow  # noqa: PLC0415  (the parent need not load it)

    with contextlib.suppress(ImportError):
        import torch  # noqa: F401, PLC0415
    answers = sys.stdout
    sys.stdout = sys.stderr  # MLflow prints
    print("ready", file=answers, flush=True)
    begun = False
    for _ in sys.stdin:
        start = time.perf_counter()
        if kind == "recorded" and not begun:
            import samebits  # noqa: PLC0415  (part of what is measured)

            samebits.autolog(seed=1)
            begun = True
        with mlflow.start_run():
            mlflow.log_params({f"parameter_{i}": i for i in range(5)})
            for step in range(10):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_text("a result", "result.txt")
        print(time.perf_counter() - start, file=answers, flush=True)


def main() -> None:
    """Measure and print the rows as JSON, or be a worker."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.record", description=__doc__)
    parser.add_argument("--worker", choices=["bare", "recorded"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
    else:
        json.dump([row.as_dict() for row in measure()], sys.stdout)


if __name__ == "__main__":
    main()
