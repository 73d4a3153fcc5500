"""What goes wrong, as people meet it: one paragraph, a non-zero exit, and nothing half-done left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import images.errors
from images import nixstore
from images.nixstore import flat_path

REPOSITORY = Path(__file__).resolve().parents[3]
GOOD = ("tini_0.19.0-3_amd64.deb", b"init" * 1000)
OTHERS_ARE_THERE = "The other files are in the store; the same command then fetches the 1 missing."


def paragraph(done: subprocess.CompletedProcess[str]) -> str:
    """Give the error that a fetch ended with, which is exactly one line."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("fetch:  ")]
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_other_bytes_of_the_same_length_never_enter_the_store(world):
    """A file whose sha256 is not the pinned one is fetched once more, then refused and deleted."""
    world.debian(*GOOD)
    pinned = world.debian("evil_1_amd64.deb", b"A" * 5000)
    world.mirror.files[f"/debian/{pinned.path}"] = b"B" * 5000
    message = paragraph(world.fetch())
    assert "Could not be fetched: evil_1_amd64.deb: " in message
    assert f"where the lock pins {pinned.sha256}" in message
    assert OTHERS_ARE_THERE in message
    assert len(world.mirror.asked(f"/debian/{pinned.path}")) == 2
    assert world.stored() == {GOOD[0]: GOOD[1], "evil_1_amd64.deb": None}
    assert {name.partition("-")[2] for name in world.everything_in_store()} == {GOOD[0]}
    assert world.leftovers == []


def test_a_wrong_sha256_in_the_lock_is_refused_too(world):
    """When it is the lock that is wrong, the outcome is the same: nothing enters the store."""
    wheel = world.python("six-1.17.0-py2.py3-none-any.whl", b"six" * 100, serve=False)
    world.mirror.files["/simple/six/"] = f'<a href="/files/{wheel.file}">{wheel.file}</a>'.encode()
    world.mirror.files[f"/files/{wheel.file}"] = b"sax" * 100
    message = paragraph(world.fetch())
    assert f"where the lock pins {wheel.sha256}" in message
    assert world.everything_in_store() == set()
    assert world.leftovers == []


def test_an_index_that_lists_another_sha256_is_not_even_asked_for_the_file(world):
    """The index's own sha256 is compared first, so that a wrong file is not downloaded."""
    wheel = world.python("six-1.17.0-py2.py3-none-any.whl", b"six" * 100, digest="f" * 64)
    message = paragraph(world.fetch())
    assert f"lists it with the sha256 {'f' * 64} where the lock pins {wheel.sha256}" in message
    assert world.mirror.asked(f"/files/{wheel.file}") == []


def test_a_download_that_always_ends_early_is_reported_and_can_be_resumed(world, misbehave):
    """A truncated download fails after its tries, says how far it got, and keeps that for the next run."""
    content = bytes(range(256)) * 1000
    pinned = world.maven("aws-1.0.jar", content)
    path = f"/maven2/{pinned.path}"
    world.mirror.always[path] = misbehave(cut_after=100_000, ignore_range=True)
    message = paragraph(world.fetch("--tries", "2"))
    assert f"{path} broke off after 100000 of 256000 bytes" in message
    assert world.leftovers == [f"{pinned.sha256}.part"]
    assert world.everything_in_store() == set()
    world.mirror.always.clear()
    done = world.fetch()
    assert done.returncode == 0, done.stderr
    assert world.mirror.asked(path)[-1].headers["Range"] == "bytes=100000-"
    assert "256.0 kB, 100.0 kB of it earlier, fetched in" in done.stdout
    assert world.stored() == world.contents
    assert world.leftovers == []


def test_a_superseded_deb_names_what_the_mirror_has_and_how_to_relock(world):
    """A .deb that is gone everywhere is named with the versions in its folder; the others are fetched."""
    world.debian(*GOOD)
    gone = world.debian("curl_8.14.1-2_amd64.deb", b"curl", serve=False)
    folder = gone.path.rpartition("/")[0]
    world.mirror.files[f"/debian/{folder}/"] = (
        b'<a href="curl_8.14.1-2%2bdeb13u1_amd64.deb">x</a> <a href="curl_9%3a1_arm64.deb">x</a>'
        b'<a href="curl-doc_8.14.1-3_all.deb">x</a> <a href="../">up</a>'
    )
    message = paragraph(world.fetch())
    assert message.startswith(
        "fetch: Gone from every source that this machine knows: curl_8.14.1-2_amd64.deb "
        "(the mirror has curl 8.14.1-2+deb13u1 now). Mirrors drop what is superseded: "
        "relock with `make lock ONLY=curl`, or set SAMEBITS_CACHE to a cache that still has it. "
    )
    assert OTHERS_ARE_THERE in message
    assert world.stored() == {GOOD[0]: GOOD[1], gone.file: None}
    assert len(world.mirror.asked(f"/debian/{gone.path}")) == 1, "a 404 is not asked again"


def test_a_yanked_wheel_and_a_removed_jar_say_what_there_is_instead(world):
    """For Python the message lists the index's files or versions, for Maven the newest release."""
    world.python("six-1.16.0-py3-none-any.whl", b"old", version="1.16.0")
    world.locks["python"].clear()
    world.python("six-1.17.0-py3-none-any.whl", b"new", version="1.17.0", serve=False)
    world.maven("aws-1.0.jar", b"jar", serve=False)
    metadata = b"<metadata><versioning><release>1.1</release></versioning></metadata>"
    world.mirror.files["/maven2/org/example/aws/maven-metadata.xml"] = metadata
    message = paragraph(world.fetch())
    assert "six-1.17.0-py3-none-any.whl (the index has six 1.16.0 now)" in message
    assert "aws-1.0.jar (the repository's newest org.example:aws is 1.1)" in message
    assert 'relock with `make lock ONLY="org.example:aws six"`' in message


def test_without_nix_the_message_says_how_to_install_it(world, tmp_path):
    """No nix-store anywhere is said before anything is fetched."""
    world.debian(*GOOD)
    code = (
        "import sys; from images import nixstore, fetch; nixstore._USUAL_PLACES = ();"
        f"sys.exit(fetch.main(['--lock-dir', {str(world.write_locks())!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**world.environ, "PATH": str(tmp_path)},
        cwd=nixstore.__file__.rpartition("/images/")[0],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "There is no nix-store on this machine" in paragraph(done)
    assert "apt-get install nix-bin" in done.stderr
    assert world.mirror.connections == 0


def test_an_unwritable_store_is_said_before_anything_is_fetched(world):
    """A store that cannot be opened gives nix's reason and what rights are needed."""
    world.debian(*GOOD)
    done = world.fetch(NIX_REMOTE="daemon", NIX_DAEMON_SOCKET_PATH=str(world.folder / "nowhere"))
    message = paragraph(done)
    assert message.startswith("fetch: The Nix store cannot be used (error: cannot connect to socket")
    assert "have the Nix daemon running and be allowed to use it" in message
    assert world.mirror.connections == 0


def test_an_unwritable_cache_folder_is_named(world):
    """When partial downloads have no place, the message names the folder and the variable that moves it."""
    world.debian(*GOOD)
    (world.folder / "file").write_text("not a folder")
    message = paragraph(world.fetch(XDG_CACHE_HOME=str(world.folder / "file")))
    assert message.startswith(f"fetch: {world.folder}/file/samebits/partial cannot be written (")
    assert "XDG_CACHE_HOME" in message
    assert world.mirror.connections == 0


def small_file_system(world, size: str, mount_at: str) -> list[str]:
    """Give words before a command that make one folder a file system of `size`; skip where that is forbidden."""
    (world.folder / mount_at).mkdir(parents=True, exist_ok=True)
    script = f'mount -t tmpfs -o size={size} none {world.folder / mount_at} && exec "$@"'
    wrapper = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", script, "sh"]
    probe = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        pytest.skip(f"needs user namespaces, to mount a small file system: {probe.stderr.strip()}")
    return wrapper


NEEDS_UNSHARE = pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")


@NEEDS_UNSHARE
def test_a_disk_that_fills_up_during_a_download_leaves_no_part_of_a_file(world, misbehave):
    """When somebody else takes the room meanwhile, the fetch ends, and what did not fit is deleted."""
    pinned = world.debian("big_1_amd64.deb", b"x" * 3_000_000)
    world.mirror.plan[f"/debian/{pinned.path}"] = [misbehave(stall_after=1_000_000)]
    wrapper = small_file_system(world, "24m", "cache")
    command = [*wrapper, *world.command("--timeout", "20")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=world.environ, stdout=pipe, stderr=pipe, text=True, cwd=REPOSITORY) as process:
        inside = Path(f"/proc/{process.pid}/root{world.partial}")
        part = inside / f"{pinned.sha256}.part"
        while not (part.exists() and part.stat().st_size > 700_000):
            assert process.poll() is None, process.communicate()
        with contextlib.suppress(OSError), (inside / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"y" * 65536) == 65536:
                pass
        world.mirror.released.set()
        out, err = process.communicate(timeout=30)
    message = paragraph(subprocess.CompletedProcess(command, process.returncode, out, err))
    assert message.startswith(f"fetch: The disk is full: big_1_amd64.deb does not fit into {world.partial}.")
    assert world.everything_in_store() == set()


@NEEDS_UNSHARE
@pytest.mark.parametrize(("mount_at", "what"), [("cache", "partial downloads"), ("root", "the Nix store")])
def test_a_disk_too_small_is_refused_before_anything_is_fetched(world, mount_at, what):
    """Room is looked for first, in the cache and in the store: the message has both numbers."""
    for number in range(3):
        world.debian(f"big{number}_1_amd64.deb", bytes([number]) * 3_000_000)
    command = [*small_file_system(world, "4m", mount_at), *world.command()]
    done = subprocess.run(command, env=world.environ, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    message = paragraph(done)
    assert f" are needed for {what} " in message
    assert f"on the file system of {world.folder / mount_at}" in message
    assert " are available. Nothing was fetched." in message
    assert world.mirror.connections == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_store_that_belongs_to_another_user_is_refused(open_world):
    """An ordinary user in front of root's single-user store is told what is needed."""
    world = open_world
    world.debian(*GOOD)
    assert world.fetch().returncode == 0
    world.debian("new_1_amd64.deb", b"new")
    command = ["/usr/bin/python3", *world.command()[1:]]
    who = {"user": 65534, "group": 65534, "extra_groups": []}
    probe = subprocess.run(["test", "-r", images.errors.__file__, "-a", "-x", command[0]], check=False, **who)
    if probe.returncode != 0:
        pytest.skip("this checkout is closed to other users, or there is no /usr/bin/python3")
    environ = {**world.environ, "XDG_CACHE_HOME": str(world.folder / "home")}
    (world.folder / "home").chmod(0o777)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=REPOSITORY, **who)
    message = paragraph(done)
    assert message.startswith("fetch: The Nix store cannot be used (")
    assert "To write to /nix/store you need to be its owner" in message


def test_nothing_in_the_store_is_half_done_after_a_corrupt_partial_file(world):
    """A partial file that was damaged on disk is noticed, thrown away and fetched anew."""
    pinned = world.debian(*GOOD)
    world.partial.mkdir(parents=True)
    (world.partial / f"{pinned.sha256}.part").write_bytes(b"garbage")
    done = world.fetch()
    assert done.returncode == 0, done.stderr
    assert world.stored() == world.contents
    assert [request.headers.get("Range") for request in world.mirror.asked(f"/debian/{pinned.path}")] == [
        "bytes=7-",
        None,
    ]
    assert flat_path(pinned.store, pinned.sha256).endswith(pinned.store)
