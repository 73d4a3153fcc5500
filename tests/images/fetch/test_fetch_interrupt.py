"""Stopping a fetch: at once, cleanly, and so that the next run goes on where it was."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess


def wait_for(part, size: int, process: subprocess.Popen) -> None:
    """Wait until a partial file has grown to `size`, while the fetch runs."""
    while not (part.exists() and part.stat().st_size >= size):
        assert process.poll() is None, process.communicate()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_download_resumes(world, misbehave, kind):
    """Ctrl-C and SIGTERM end with 130; what was received is kept, and the next run asks only for the rest."""
    content = bytes(range(256)) * 8000
    pinned = world.maven("aws-1.0.jar", content)
    done_before = world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000)
    path = f"/maven2/{pinned.path}"
    world.mirror.plan[path] = [misbehave(stall_after=1_500_000)]
    process = world.start("--timeout", "60")
    wait_for(world.partial / f"{pinned.sha256}.part", 1_000_000, process)
    while world.stored()[done_before.file] is None:
        assert process.poll() is None, process.communicate()
    process.send_signal(kind)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == "fetch: stopped. What is in the store stays; partial downloads resume next time.\n"
    assert world.leftovers == [f"{pinned.sha256}.part"]
    assert {name.partition("-")[2] for name in world.everything_in_store()} == {done_before.file}
    kept = (world.partial / f"{pinned.sha256}.part").stat().st_size

    again = world.fetch()
    assert again.returncode == 0, again.stderr
    assert world.mirror.asked(path)[-1].headers["Range"] == f"bytes={kept}-"
    assert world.stored() == world.contents
    assert world.leftovers == []


def test_a_killed_fetch_leaves_nothing_that_confuses_the_next(world, misbehave):
    """Even kill -9 leaves only partial files: the folder is free again, and the rest is resumed."""
    pinned = world.maven("aws-1.0.jar", bytes(range(256)) * 8000)
    complete = world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000)
    world.mirror.plan[f"/maven2/{pinned.path}"] = [misbehave(stall_after=1_500_000)]
    process = world.start("--timeout", "60")
    wait_for(world.partial / f"{pinned.sha256}.part", 1_000_000, process)
    process.kill()
    process.communicate(timeout=20)
    # As when it was killed between the check and the addition to the store:
    checked = world.partial / complete.sha256 / complete.store
    checked.parent.mkdir(exist_ok=True)
    checked.write_bytes(b"init" * 1000)
    again = world.fetch()
    assert again.returncode == 0, again.stderr
    assert world.stored() == world.contents
    assert world.leftovers == []


def test_an_interrupt_while_waiting_to_try_again_ends_at_once(world, misbehave):
    """A long Retry-After does not hold the end up."""
    pinned = world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000)
    world.mirror.always[f"/debian/{pinned.path}"] = misbehave(status=503, headers={"Retry-After": "60"})
    process = world.start()
    line = process.stderr.readline()
    assert line.endswith(f"{pinned.path} answered 503 Service Unavailable; trying again in 60 s\n")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_an_addition_to_the_store_that_has_begun_is_waited_for(world):
    """Ctrl-C reaches the whole process group, but not the nix-store that is writing: it ends its work."""
    pinned = world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000)
    begun = world.folder / "begun"
    slow = world.folder / "bin/nix-store"
    slow.parent.mkdir()
    real = shutil.which("nix-store")
    # The seam is the program: a stand-in that says when it begins to add, and takes its time.
    slow.write_text(f'#!/bin/sh\n[ "$1" = --add-fixed ] && touch {begun} && sleep 1\nexec {real} "$@"\n')
    slow.chmod(0o755)
    world.environ["PATH"] = f"{slow.parent}:{world.environ['PATH']}"
    process = world.start(start_new_session=True)
    while not begun.exists():
        assert process.poll() is None, process.communicate()
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert world.stored()[pinned.file] == b"init" * 1000
    assert world.leftovers == []
