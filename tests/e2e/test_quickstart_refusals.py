"""What stops the quickstart before it has done anything."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXIT_ERROR = 3


def test_outside_of_git_it_says_to_clone(tmp_path):
    """A run is recorded by its commit, so a downloaded archive will not do."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", tmp_path], input=archive.stdout, check=True)
    done = subprocess.run(
        ["examples/quickstart.sh"],
        cwd=tmp_path,
        env=os.environ | {"YES": "1", "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_ERROR
    assert "not a git repository" in done.stderr
    assert "Clone it with git" in done.stderr
    assert not (tmp_path / ".samebits").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small store, which only root can")
def test_without_room_it_says_how_much_is_missing(tmp_path):
    """The disk is looked at before anything is fetched or built."""
    clone = tmp_path / "samebits"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    small = 'mount -t tmpfs -o size=64m tmpfs /nix/store && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", small, "sh", "examples/quickstart.sh"],
        cwd=clone,
        env=os.environ | {"YES": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_ERROR, done.stderr
    assert "GiB are needed in /nix/store, and 0 GiB are free" in done.stderr
    assert "nix-collect-garbage" in done.stderr
    assert not (clone / ".samebits").exists()
    assert not (clone / "build").exists()
