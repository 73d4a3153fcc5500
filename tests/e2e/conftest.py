"""A clone of the repository, as a new user has it."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A user's shell is not inside `make test`, and has none of our settings.
UNWANTED = ("MAKE", "MFLAGS", "MLFLOW_", "SAMEBITS_", "NIX_CONFIG")


class Clone:
    """A clone of this repository's last commit, with what a user does in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.flights = path / "examples/flights"

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Standard output and error together, as on a terminal."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)}
        return subprocess.run(
            command, cwd=cwd or self.path, env=kept | environment, text=True, check=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def workspace(self, *command: str) -> subprocess.CompletedProcess[str]:
        """In the workspace of this clone's flake."""
        return self.run("nix", "run", f"{self.path}#workspace-cpu", "--", *command, cwd=self.flights)

    def quickstart(self) -> subprocess.CompletedProcess[str]:
        return self.run("make", "quickstart", YES="1", EPOCHS="1")

    @property
    def recorded(self) -> str:
        return (self.path / ".samebits/quickstart").read_text().splitlines()[1]


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    path = tmp_path_factory.mktemp("user") / "samebits"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(path)], check=True)
    return Clone(path)


@pytest.fixture(scope="session")
def first(clone):
    return clone.quickstart()


@pytest.fixture
def served():
    """Starts `make TARGET PORT=…` in a clone, gives the page's text once it answers, and ends it."""
    started = []

    def fetch(clone: Clone, target: str) -> str:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        started.append(
            subprocess.Popen(
                ["make", target, f"PORT={port}"], cwd=clone.path, start_new_session=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip
        end = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
                    return answer.read().decode()
            except OSError:
                if time.monotonic() > end or started[-1].poll() is not None:
                    raise
                time.sleep(0.5)

    yield fetch
    for process in started:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
