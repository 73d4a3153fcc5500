"""The whole command, as people run it, against local mirrors and a store of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def fill(world) -> None:
    """Pin a few files of each kind, with names that Nix does not allow as they are."""
    world.debian("tini_0.19.0-3_amd64.deb", b"init" * 1000)
    world.debian("libc6_1%3a2.41~rc1_amd64.deb", b"libc" * 50_000, sets=("base", "tools"))
    world.python("numpy-2.5.0-cp313-cp313-manylinux_2_28_x86_64.whl", b"array" * 70_000, sets=("workspace",))
    world.maven("hadoop-aws-3.5.0.jar", b"PK" * 9_000, sets=("s3a",))


def test_everything_pinned_gets_into_the_store(world):
    """Files of all three kinds are fetched, each byte for byte, and no temporary file stays."""
    fill(world)
    done = world.fetch()
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents
    assert world.leftovers == []
    assert "4 files" in done.stdout
    assert "all 4 pinned files are in the store" in done.stdout


def test_nothing_missing_opens_no_connection(world):
    """With all in the store, the command succeeds without a single connection, from any starting folder."""
    fill(world)
    assert world.fetch().returncode == 0
    before = world.mirror.connections
    again = world.fetch()
    script = [sys.executable, str(REPOSITORY / "images/fetch.py"), "--lock-dir", str(world.folder / "lock")]
    as_file = subprocess.run(script, cwd="/", env=world.environ, capture_output=True, text=True, check=False)
    assert (again.returncode, as_file.returncode) == (0, 0), again.stderr + as_file.stderr
    assert again.stdout == as_file.stdout == "fetch: all 4 pinned files are in the store.\n"
    assert world.mirror.connections == before
    assert before > 0


def test_only_the_named_sets_are_fetched(world):
    """--set fetches what is in one of the sets, and nothing else."""
    fill(world)
    done = world.fetch("--set", "tools", "s3a")
    assert done.returncode == 0, done.stderr
    there = {file for file, content in world.stored().items() if content is not None}
    assert there == {"libc6_1%3a2.41~rc1_amd64.deb", "hadoop-aws-3.5.0.jar"}


def test_an_unknown_set_is_refused_with_those_that_exist(world):
    """A set that no lock has is an error that lists the sets."""
    fill(world)
    done = world.fetch("--set", "tolls")
    assert done.returncode == 1
    assert done.stderr == "fetch: No lock has the set tolls. The sets are base, s3a, tools, workspace.\n"


def test_a_dry_run_prints_the_plan_and_does_nothing(world):
    """--dry-run names files and sizes, connects to nothing and writes nothing."""
    fill(world)
    done = world.fetch("--dry-run")
    assert done.returncode == 0, done.stderr
    assert " 200.0 kB  libc6_1%3a2.41~rc1_amd64.deb  (base, tools)\n" in done.stdout
    assert done.stdout.endswith("fetch: 4 files to fetch, 572.0 kB.\n")
    assert world.mirror.connections == 0
    assert not world.partial.exists()
    assert not any(world.stored().values())


def test_a_missing_lock_is_an_error_that_says_how_to_make_it(world):
    """Without a lock there is nothing to fetch by, and the message says what makes one."""
    folder = world.write_locks()
    command = world.command()
    (folder / "maven.lock.json").unlink()
    done = subprocess.run(command, cwd=REPOSITORY, env=world.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("fetch: There is no lock at ")
    assert "images.lock refresh" in done.stderr


def test_a_second_fetch_waits_for_the_first(world, misbehave):
    """Two fetches at once do not download anything twice: the second waits, then finds everything there."""
    fill(world)
    world.mirror.plan["/files/numpy-2.5.0-cp313-cp313-manylinux_2_28_x86_64.whl"] = [misbehave(stall_after=1000)]
    first = world.start("--tries", "2")
    while not world.mirror.asked("/files/numpy-2.5.0-cp313-cp313-manylinux_2_28_x86_64.whl"):
        assert first.poll() is None, first.communicate()
    second = world.start()
    line = second.stderr.readline()
    world.mirror.released.set()
    outputs = first.communicate(timeout=30), second.communicate(timeout=30)
    assert (first.returncode, second.returncode) == (0, 0), outputs
    assert line == "fetch: waiting for another fetch to end\n"
    assert world.stored() == world.contents
    assert len(world.mirror.asked("/maven2/org/example/hadoop/1.0/hadoop-aws-3.5.0.jar")) == 1


def test_partial_files_of_older_locks_are_cleaned_up(world):
    """When everything pinned is in the store, partial files that no lock wants any more are deleted."""
    fill(world)
    world.partial.mkdir(parents=True)
    (world.partial / ("a" * 64 + ".part")).write_bytes(b"old")
    (world.partial / ("b" * 64)).mkdir()
    assert world.fetch().returncode == 0
    assert world.leftovers == []
