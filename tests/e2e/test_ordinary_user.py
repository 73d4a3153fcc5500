"""The quickstart for somebody who is not root and reaches the store through Nix's daemon."""

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOCKET = Path("/nix/var/nix/daemon-socket/socket")
NAME = "samebits-test"

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes a user and starts Nix's daemon, which only root can"),
]


@pytest.fixture
def daemon(flake_output):
    """A Nix daemon on the machine's store; one that runs already is used as it is."""
    flake_output("enter-workspace-cpu")
    if subprocess.run(["pgrep", "-x", "nix-daemon"], check=False, capture_output=True).returncode == 0:
        yield
        return
    SOCKET.unlink(missing_ok=True)
    process = subprocess.Popen(["nix-daemon", "--daemon"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 30
        while not SOCKET.exists() and time.monotonic() < end:
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(30)
        SOCKET.unlink(missing_ok=True)


@pytest.fixture
def user(daemon):
    """A new user, in the daemon's group where the machine has one; gone afterwards with all files."""
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", NAME], check=True)
    group = SOCKET.parent.group()
    if group != "root":
        subprocess.run(["usermod", "-aG", group, NAME], check=True)
    entry = pwd.getpwnam(NAME)
    home = Path(entry.pw_dir)
    try:
        yield entry
    finally:
        subprocess.run(["userdel", NAME], check=True)
        shutil.rmtree(home)


def test_quickstart_ends_in_identical(user):
    """Fetch, build, training and rerun need no rights beyond the daemon's group."""
    home = Path(user.pw_dir)
    git = ["git", "-c", f"safe.directory={ROOT}", "-c", f"safe.directory={ROOT}/.git"]
    subprocess.run([*git, "clone", "--quiet", str(ROOT), str(home / "samebits")], check=True)
    subprocess.run(["chown", "-R", f"{NAME}:", str(home)], check=True)
    done = subprocess.run(
        ["su", "-", NAME, "-c", "cd samebits && EPOCHS=1 make quickstart YES=1"],
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert done.stdout.splitlines()[-1].startswith("IDENTICAL: run ")
