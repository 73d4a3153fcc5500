"""What several folders of tests share: the images as `nix build` makes them."""

import signal
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A shell starts what it puts in the background with Ctrl-C ignored, and every child inherits that; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def flake_output(tmp_path_factory):
    """Gives the store path of one of the flake's packages, built when it is not there yet."""
    links = tmp_path_factory.mktemp("links")

    def build(name: str, *options: str) -> Path:
        link = links / name
        done = subprocess.run(
            ["nix", "build", f"{ROOT}#{name}", "--out-link", str(link), *options],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        return link.resolve()

    return build


@pytest.fixture(scope="session", params=["workspace-cpu", "mlflow"])
def any_image(request, flake_output):
    """Each image in turn."""
    return flake_output(request.param)


@pytest.fixture(scope="session")
def workspace_image(flake_output):
    return flake_output("workspace-cpu")


@pytest.fixture(scope="session")
def mlflow_image(flake_output):
    return flake_output("mlflow")


@pytest.fixture(scope="session")
def enter(flake_output):
    """Runs a command in the workspace without a container runtime."""
    program = flake_output("enter-workspace-cpu") / "bin/enter-workspace-cpu"

    def run(*command: str | bytes, **options) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *command],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            **({"text": True} | options),
        )

    return run
