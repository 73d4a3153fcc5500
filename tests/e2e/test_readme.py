"""Every command that the README shows is run as it stands there."""

import re
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.image
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]
# `make test` is this very run, and .ci/run calls it; the quickstart ran before any of these.
ELSEWHERE = {"make quickstart YES=1", "make test"}
OUTPUT = {
    "nix run .#workspace-cpu -- python -V": "Python 3.13",
    "nix run ../..#workspace-cpu -- samebits exec -- python -m flights.train --epochs 3": "recorded; to repeat it",
    "nix run ../..#workspace-cpu -- samebits show RUN": "closure",
    "nix run ../..#workspace-cpu -- samebits rerun RUN --dry-run": "command   python -m flights.train",
    "nix run ../..#workspace-cpu -- samebits rerun RUN": "IDENTICAL",
    "nix build .#mlflow": "",
    "skopeo inspect oci:./result": "samebits.closure_id",
    "make help": "make quickstart",
    "make check": "",
}


def test_every_command_is_accounted_for():
    """A command added to the README needs a line here."""
    assert set(COMMANDS) == ELSEWHERE | set(OUTPUT)


def test_the_first_command_stands_near_the_top():
    """A newcomer sees it without scrolling."""
    assert "make quickstart" in "\n".join(README.splitlines()[:12])


def test_ci_calls_the_readme_s_test_command():
    """CI runs what people run."""
    assert "make test" in (ROOT / ".ci/run").read_text().splitlines()


@pytest.mark.parametrize("command", OUTPUT)
def test_a_command_does_what_is_said(command, first, clone):
    """It succeeds and says what the README leads one to expect."""
    if command.startswith("skopeo") and not shutil.which("skopeo"):
        pytest.skip("skopeo is not installed: apt-get install skopeo")
    if command == "make check":
        shutil.copytree(ROOT / ".venv", clone.path / ".venv", symlinks=True, dirs_exist_ok=True)
    folder = clone.flights if "../.." in command else clone.path
    done = clone.run("sh", "-c", command.replace("RUN", clone.recorded), cwd=folder, YES="1")
    assert done.returncode == 0, done.stdout[-3000:]
    assert OUTPUT[command] in done.stdout


def test_the_code_in_the_readme_runs(first, clone, tmp_path):
    """The two lines that record a run, in a script of their own."""
    lines = re.search(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL).group(1)
    script = clone.path / ".samebits/readme.py"
    script.write_text(lines + "import mlflow\nwith mlflow.start_run():\n    mlflow.log_metric('m', 1)\n")
    done = clone.run("nix", "run", f"{clone.path}#workspace-cpu", "--", "python", ".samebits/readme.py")
    assert done.returncode == 0, done.stdout
    assert "recorded; to repeat it" in done.stdout


@pytest.mark.parametrize(("target", "page"), [("lab", "jupyter"), ("ui", "MLflow")])
def test_the_pages_open(first, clone, served, target, page):
    """`make lab` and `make ui` serve their pages on this machine."""
    assert page.lower() in served(clone, target).lower()
