"""The command line: what `make lock`, `make lock-check` and `make lock-diff` call."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from images.lock.__main__ import main

REPOSITORY = Path(__file__).resolve().parents[3]


def run(folder, *arguments, **environment):
    """Run the command as a person does."""
    return subprocess.run(
        [sys.executable, "-m", "images.lock", "--lock-dir", str(folder), *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def test_check_says_what_it_checked(lock_dir):
    """One line a lock, and success."""
    done = run(lock_dir, "check")
    assert done.returncode == 0
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        "debian.lock.json",
        "python.lock.json",
        "maven.lock.json",
    ]


def test_check_fails_on_a_stale_lock_with_one_paragraph(lock_dir):
    """No traceback: what, where, and the command that helps."""
    intent = lock_dir / "python.toml"
    intent.write_text(intent.read_text().replace('"pandas"', '"pandas<3"'))
    done = run(lock_dir, "check")
    assert done.returncode == 1
    assert done.stderr.startswith("lock: The python lock is stale")
    assert "images.lock refresh python" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_diff_prints_for_people(lock_dir):
    """The committed locks against a copy of them."""
    done = run(lock_dir, "diff", str(REPOSITORY / "images" / "lock"), ".")
    assert done.returncode == 0
    assert done.stdout.count("no difference") == 3


def test_refresh_resolves_and_says_so(tmp_path, archive, capsys, lock_dir):
    """A whole refresh of one kind through the command: progress on stderr, the result on stdout."""
    archive.add("shell", "1", Essential="yes")
    archive.publish("trixie")
    (lock_dir / "debian.toml").write_text(
        'architecture = "amd64"\ncomponents = ["main"]\n[archives]\ndebian = ["trixie"]\n'
        '[sets.base]\npackages = ["?essential"]\n'
    )
    assert main(["--lock-dir", str(lock_dir), "refresh", "debian"]) == 0
    said = capsys.readouterr()
    assert "debian.lock.json: written, 1 artifacts" in said.out
    assert "lock: debian: base: 1 packages" in said.err


@pytest.mark.parametrize(("kind", "tool"), [("debian", "apt-get"), ("python", "uv")])
def test_a_missing_tool_is_named_with_how_to_get_it(lock_dir, tmp_path, kind, tool):
    """On a machine without the resolver nothing else happens."""
    before = (lock_dir / f"{kind}.lock.json").read_bytes()
    alone = tmp_path / "python3"
    alone.symlink_to(Path(sys.executable).resolve())
    command = [str(alone), "-m", "images.lock", "--lock-dir", str(lock_dir), "refresh", kind]
    environment = {**os.environ, "PATH": str(tmp_path), "SAMEBITS_DEBIAN_MIRROR": "http://127.0.0.1:9"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{tool} is not on this machine" in done.stderr
    assert (lock_dir / f"{kind}.lock.json").read_bytes() == before


def test_an_unknown_kind_is_refused(lock_dir):
    """Only the three kinds there are can be refreshed."""
    assert run(lock_dir, "refresh", "npm").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_refresh_changes_nothing_and_leaves_nothing(lock_dir, tmp_path, number):
    """Stopped while a resolver works: exit 130, the old lock, an empty temporary folder."""
    tools, temporary = tmp_path / "bin", tmp_path / "tmp"
    tools.mkdir()
    temporary.mkdir()
    for tool in ("apt-get", "apt-cache", "apt-config"):
        sleeper = tools / tool
        sleeper.write_text('#!/bin/sh\ncase "$0" in *-config) exit 0;; esac\ntouch "$STARTED"\nexec sleep 60\n')
        sleeper.chmod(0o755)
    before = (lock_dir / "debian.lock.json").read_bytes()
    started = tmp_path / "started"
    environment = {
        **os.environ,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "TMPDIR": str(temporary),
        "STARTED": str(started),
        "SAMEBITS_DEBIAN_MIRROR": "http://127.0.0.1:9",
        "SAMEBITS_DEBIAN_KEYRING": str(lock_dir / "debian.toml"),
    }
    command = [sys.executable, "-m", "images.lock", "--lock-dir", str(lock_dir), "refresh", "debian"]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True) as running:
        while not started.exists() and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(number)
        _, said = running.communicate()
    assert running.returncode == 130
    assert "No lock was changed" in said
    assert (lock_dir / "debian.lock.json").read_bytes() == before
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_one_sentence(lock_dir, tmp_path):
    """No room for the resolver's files: an error that says so, and the old lock."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("making a small disk needs root and unshare")
    small = tmp_path / "small"
    small.mkdir()
    before = (lock_dir / "debian.lock.json").read_bytes()
    command = (
        f"mount -t tmpfs -o size=16k,nr_inodes=8 none {small} && "
        f"TMPDIR={small} {sys.executable} -m images.lock --lock-dir {lock_dir} refresh debian"
    )
    environment = {**os.environ, "SAMEBITS_DEBIAN_MIRROR": "http://127.0.0.1:9"}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", command],
        cwd=REPOSITORY,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if "mount" in done.stderr:
        pytest.skip("mounting is not allowed here")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("lock: the machine refused")
    assert (lock_dir / "debian.lock.json").read_bytes() == before


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_is_no_error_message(lock_dir, unbuffered):
    """`… diff … | head -1` ends without a word about pipes, however Python buffers."""
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "images.lock", "--lock-dir", str(lock_dir), "check"]
    with os.fdopen(writing, "w") as closed:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, check=False, stdout=closed, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "")
