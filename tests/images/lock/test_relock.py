"""Refreshing and checking a folder of locks: all or nothing, stale locks refused, the right kinds chosen."""

import json

import pytest

from images.errors import IntentError, LockError, LockInvalidError, LockStaleError, ResolutionError
from images.lock import intent, lockfile, relock

PYTHON = """
python = "3.13"
platform = "x86_64-manylinux_2_40"
[sets.work]
packages = ["sb-one", "sb-two"]
"""
DEBIAN = """
architecture = "amd64"
components = ["main"]
[archives]
debian = ["trixie"]
[sets.base]
packages = ["shell"]
"""
MAVEN = """
[beside]
package = "sb-one"
jar = "hadoop"
[sets.s3a]
packages = ["a:b"]
"""


@pytest.fixture
def small(tmp_path, archive, wheels):
    """Give a folder with small intents and fresh Debian and Python locks of them; the Maven one is never resolved."""
    folder = tmp_path / "small"
    folder.mkdir()
    for kind, text in (("debian", DEBIAN), ("python", PYTHON), ("maven", MAVEN)):
        (folder / f"{kind}.toml").write_text(text)
    archive.add("shell", "1")
    archive.publish("trixie")
    wheels("sb-one", "1.0")
    wheels("sb-two", "1.0")
    relock.refresh(folder, ["debian", "python"], [], lambda _: None)
    return folder


def versions(folder, kind):
    """Say which version of each artifact a lock holds."""
    return {item.name: item.version for item in lockfile.load(folder / f"{kind}.lock.json").artifacts}


def refresh(folder, kinds=("debian", "python"), only=()):
    """Refresh silently."""
    return relock.refresh(folder, kinds, only, lambda _: None)


def test_a_refresh_writes_what_it_resolved(small):
    """Both kinds asked for are there, and answer their intents."""
    assert versions(small, "debian") == {"shell": "1"}
    assert versions(small, "python") == {"sb-one": "1.0", "sb-two": "1.0"}
    for kind in ("debian", "python"):
        lock = lockfile.load(small / f"{kind}.lock.json")
        assert lock.intent == intent.read(small / f"{kind}.toml").checksum


def test_a_refresh_of_the_same_gives_the_same_bytes(small):
    """Nothing but what changed outside shows in a lock: no time, no machine, no address."""
    before = (small / "debian.lock.json").read_bytes(), (small / "python.lock.json").read_bytes()
    refresh(small)
    assert ((small / "debian.lock.json").read_bytes(), (small / "python.lock.json").read_bytes()) == before


def test_a_failure_leaves_every_lock_as_it_was(small, archive):
    """The first kind resolves to something new, the second fails: neither is written."""
    before = (small / "debian.lock.json").read_bytes()
    archive.add("shell", "2")
    archive.publish("trixie")
    (small / "python.toml").write_text(PYTHON.replace("sb-two", "sb-absent"))
    with pytest.raises(ResolutionError):
        refresh(small)
    assert (small / "debian.lock.json").read_bytes() == before
    refresh(small, ["debian"])
    assert versions(small, "debian") == {"shell": "2"}


def test_only_refreshes_just_the_locks_that_know_the_name(small, archive, wheels):
    """The other artifacts of its lock and all other locks stay, however Python's names are spelled."""
    wheels("sb-one", "2.0")
    wheels("sb-two", "2.0")
    archive.add("shell", "2")
    archive.publish("trixie")
    assert list(refresh(small, only=["SB_One"])) == ["python"]
    assert versions(small, "python") == {"sb-one": "2.0", "sb-two": "1.0"}
    assert versions(small, "debian") == {"shell": "1"}


def test_only_takes_a_name_that_just_came_into_the_intent(small, wheels):
    """A new package is added without moving the others."""
    wheels("sb-two", "2.0")
    wheels("sb-new", "1.0")
    (small / "python.toml").write_text(PYTHON.replace('"sb-two"', '"sb-two", "sb-new[extra]>=1"'))
    refresh(small, only=["sb-new"])
    assert versions(small, "python") == {"sb-one": "1.0", "sb-two": "1.0", "sb-new": "1.0"}


def test_a_name_that_nothing_knows_is_refused(small):
    """A misspelt name is an error that repeats it, and nothing is resolved."""
    with pytest.raises(IntentError, match="sb-tow"):
        refresh(small, only=["sb-one", "sb-tow"])


def test_an_unwritable_folder_is_an_error_about_it(small, monkeypatch):
    """What the machine refuses is told with the file's name; the old lock stands."""
    before = (small / "debian.lock.json").read_bytes()

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lockfile, "write", refuse)
    with pytest.raises(LockError, match=r"debian\.lock\.json could not be written \(Permission denied\)"):
        refresh(small)
    assert (small / "debian.lock.json").read_bytes() == before


def test_the_committed_locks_pass(lock_dir):
    """The repository's own locks answer its own intents."""
    assert sorted(relock.check(lock_dir)) == ["debian", "maven", "python"]


@pytest.mark.parametrize("kind", ["debian", "python", "maven"])
def test_a_comment_makes_no_lock_stale_and_a_value_does(lock_dir, kind):
    """The refusal names the command that refreshes just this lock."""
    path = lock_dir / f"{kind}.toml"
    path.write_text("# a better reason\n" + path.read_text())
    relock.check(lock_dir)
    path.write_text(path.read_text().replace("packages = [", 'packages = ["more", ', 1))
    with pytest.raises(LockStaleError, match=f"refresh {kind}"):
        relock.check(lock_dir)


def test_another_pyspark_makes_the_jars_stale(lock_dir):
    """The Maven lock stands on the Python lock's PySpark, whose intent did not change."""
    path = lock_dir / "python.lock.json"
    lock = json.loads(path.read_text())
    (pyspark,) = [item for item in lock["artifacts"] if item["name"] == "pyspark"]
    path.write_text(path.read_text().replace(pyspark["sha256"], "0" * 64))
    with pytest.raises(LockStaleError, match="refresh maven"):
        relock.check(lock_dir)


def test_a_lock_edited_by_hand_is_refused(lock_dir):
    """Other spacing, although it reads the same, would spoil the next difference."""
    path = lock_dir / "debian.lock.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=2, sort_keys=True) + "\n")
    with pytest.raises(LockError, match="not written as a lock is"):
        relock.check(lock_dir)


def test_locks_that_were_swapped_are_refused(lock_dir):
    """A lock in another's place is told by its content."""
    (lock_dir / "maven.lock.json").rename(lock_dir / "python.lock.json")
    with pytest.raises(LockError, match="is a maven lock"):
        relock.check(lock_dir)


def test_an_address_in_a_lock_is_refused(lock_dir):
    """However it got in, no address passes the check."""
    path = lock_dir / "maven.lock.json"
    path.write_text(path.read_text().replace('"path": "org/', '"path": "https://repository.example.invalid/org/', 1))
    with pytest.raises(LockInvalidError, match="locks hold none"):
        relock.check(lock_dir)


def test_everything_that_is_wrong_is_said_at_once(lock_dir):
    """Two broken locks, two complaints in one error."""
    (lock_dir / "debian.lock.json").unlink()
    (lock_dir / "maven.lock.json").write_text("{}")
    with pytest.raises(LockError, match=r"no lock at .*debian(.|\n)*maven\.lock\.json cannot be used"):
        relock.check(lock_dir)
