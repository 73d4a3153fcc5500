"""Real parts for the SDK's tests: an interpreter that has samebits installed, git repositories, MLflow stores.

Making an SQLite store takes MLflow seconds, so one is made per session and copied. The command line is called in
this process, the recorded programs are real processes of their own.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from samebits import cli, closure

SOURCES = Path(__file__).resolve().parents[2] / "sdk" / "src"
AUTHOR = ["-c", "user.name=Tester", "-c", "user.email=tester@example.invalid"]


def pytest_configure(config: pytest.Config) -> None:
    """MLflow announces its database migrations at length; the tests' output is theirs."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """The bin folder of an environment in which `python` and `samebits` are on PATH, as in the workspace."""
    prefix = tmp_path_factory.mktemp("environment")
    venv.create(prefix, with_pip=False)
    site = next((prefix / "lib").glob("python*")) / "site-packages"
    # What this interpreter imports, that one imports too; samebits from its sources.
    known = [path for path in sys.path if path.endswith("site-packages") and Path(path) != site]
    (site / "tests.pth").write_text("\n".join([str(SOURCES), *known]) + "\n")
    command = prefix / "bin" / "samebits"
    command.write_text(f"#!{prefix}/bin/python\nimport sys\nfrom samebits.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)
    return prefix / "bin"


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An MLflow store with no runs, to be copied."""
    mlflow = pytest.importorskip("mlflow", reason="the SDK is tested on a real MLflow: pip install mlflow")
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with contextlib.chdir(path.parent):  # where MLflow puts the files of its default experiment, for good
        mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


def write_manifest(path: Path, name: str = "one", nar_hash: str = "sha256:" + "1" * 64) -> Path:
    """A small valid closure manifest; another `name` is another recipe, another `nar_hash` other bits."""
    store_path = f"/nix/store/{name:0>32}-layer"
    path.write_bytes(json.dumps({
        "version": 1, "name": "workspace-test", "system": "x86_64-linux", "root": f"/nix/store/{name:0>32}-root",
        "layers": [{"name": "base", "path": store_path, "narHash": nar_hash, "narSize": 1}],
        "paths": [{"path": store_path, "narHash": nar_hash, "narSize": 1, "references": []}],
        "closure_id": closure.closure_id([store_path]),
        "content_id": closure.content_id([("base", nar_hash)]),
    }, sort_keys=True, separators=(",", ":")).encode() + b"\n")  # fmt: skip
    return path


@dataclass
class Result:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.out.strip().splitlines()[-1]

    @property
    def json(self):
        return json.loads(self.out)


@dataclass
class Project:
    """A git repository with programs in it, a store beside its files, and an environment to run them in."""

    root: Path
    bin: Path
    store: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.store}"

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *AUTHOR, *arguments], cwd=self.root, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def variables(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        kept["MLFLOW_DISABLE_TELEMETRY"] = "true"
        return (
            kept
            | {
                "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
                "MLFLOW_TRACKING_URI": self.uri,
                "MLFLOW_LOGGING_LEVEL": "WARNING",
                "PYTHONNOUSERSITE": "1",
                "OMP_NUM_THREADS": "1",
            }
            | self.environ
        )

    def start(self, *command: str, cwd: str = ".", stdin=subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        """Run a program as a shell would, without a shell."""
        return subprocess.run(command, cwd=self.root / cwd, env=self.variables(), check=False, capture_output=True,
                              text=True, stdin=stdin)  # fmt: skip

    def record(self, *program: str, cwd: str = ".", options: tuple[str, ...] = ()) -> str:
        """Run a program under `samebits exec`; the id of the one run it made."""
        before = set(self.runs())
        done = self.start("samebits", "exec", *options, "--", *program, cwd=cwd)
        assert done.returncode == 0, done.stderr
        (run,) = set(self.runs()) - before
        return run

    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    def runs(self) -> list[str]:
        client = self.client()
        ids = [experiment.experiment_id for experiment in client.search_experiments()]
        return [run.info.run_id for run in client.search_runs(ids)]

    def samebits(self, *words: str, **environ: str) -> Result:
        """The command line, in this process; `environ` is set for this one call."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
            for name in list(os.environ):
                patch.delenv(name)
            for name, value in (self.variables() | environ).items():
                patch.setenv(name, value)
            patch.chdir(self.root)
            code = cli.main(list(words))
        return Result(code, out.getvalue(), err.getvalue())

    def leftovers(self) -> list[str]:
        """Worktrees and what belongs to them, on disk or in git's books."""
        books = self.git("worktree", "list", "--porcelain").count("worktree ")
        folder = self.root / ".samebits" / "worktrees"
        return [*(["in git's books"] if books != 1 else []), *map(str, folder.glob("*") if folder.exists() else [])]


@pytest.fixture(scope="session")
def make_project(installed, empty_store):
    """Make an empty repository inside a closure, with its own store in `.samebits`."""

    def make(where: Path) -> Project:
        root = where / "project"
        (root / ".samebits").mkdir(parents=True)
        (root / ".samebits" / ".gitignore").write_text("*\n")
        store = Path(shutil.copy(empty_store, root / ".samebits" / "mlflow.db"))
        made = Project(root, installed, store)
        made.environ["SAMEBITS_CLOSURE"] = str(write_manifest(where / "closure.json"))
        made.git("init", "-q", "-b", "main")
        return made

    return make


@pytest.fixture
def project(tmp_path, make_project):
    """An empty repository inside a closure, with its own store in `.samebits`."""
    return make_project(tmp_path)


@pytest.fixture
def manifest(tmp_path):
    """Write a manifest of another closure: `manifest("name", "sha256:…")`."""

    def write(name: str = "one", nar_hash: str = "sha256:" + "1" * 64) -> Path:
        return write_manifest(tmp_path / f"closure-{name}-{nar_hash[-4:]}.json", name, nar_hash)

    return write
