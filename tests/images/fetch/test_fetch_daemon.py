"""Multi-user Nix: an ordinary user fetches through the Nix daemon into a store that is not the user's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
NOBODY = 65534


@contextlib.contextmanager
def daemon(world):
    """Run a Nix daemon for the test's store; give the environment that leads to it."""
    program = shutil.which("nix-daemon")
    if program is None:
        pytest.skip("needs nix-daemon (apt-get install nix-bin)")
    address = world.folder / "d/socket"
    environ = {**world.environ, "NIX_DAEMON_SOCKET_PATH": str(address)}
    with subprocess.Popen([program], env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not address.exists():
                assert process.poll() is None, process.communicate()
                time.sleep(0.02)
            yield {**environ, "NIX_REMOTE": "daemon"}
        finally:
            process.terminate()


def test_an_ordinary_user_fetches_through_the_daemon(open_world):
    """Files arrive in the daemon's store, owned by it, though the user could not write there."""
    world = open_world
    world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000)
    world.python("six-1.17.0-py2.py3-none-any.whl", b"six" * 100)
    command, who = world.command(), {}
    if os.geteuid() == 0:
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        command[0] = "/usr/bin/python3"
        if subprocess.run(["test", "-r", __file__, "-a", "-x", command[0]], check=False, **who).returncode != 0:
            pytest.skip("this checkout is closed to other users, or there is no /usr/bin/python3")
    (world.folder / "home").chmod(0o777)
    with daemon(world) as environ:
        environ["XDG_CACHE_HOME"] = environ["HOME"]
        done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, check=False, **who)
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents
    assert (world.folder / "root/nix/store").stat().st_uid == os.geteuid()
