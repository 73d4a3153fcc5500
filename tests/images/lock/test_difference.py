import dataclasses
import subprocess

import pytest

from images.errors import LockError, LockMissingError
from images.lock import difference, lockfile
from images.lock.lockfile import Artifact, Lock


def artifact(name, version, **changes):
    """Give a Python wheel's entry."""
    file = f"{name}-{version}-py3-none-any.whl"
    values = {"file": file, "store": file, "size": 1000, "sha256": "a" * 64, "sets": ("work",)}
    return Artifact(name, version, **{**values, **changes})


OLD = [
    artifact("gone", "1"),
    artifact("kept", "1"),
    artifact("moved", "1"),
    artifact("risen", "1"),
    artifact("two", "1"),
]
NEW = [
    artifact("come", "3", size=2500),
    artifact("kept", "1", sha256="b" * 64),
    artifact("moved", "1", sets=("build", "work")),
    artifact("risen", "2"),
    artifact("two", "1"),
    artifact("two", "2", sets=("build",)),
]


@pytest.fixture
def folder(tmp_path):
    """Give a git repository with the old locks committed and the new ones in the working tree."""
    inside = tmp_path / "repository" / "images" / "lock"
    inside.mkdir(parents=True)
    git(inside, "init", "-q", "-b", "main")
    git(inside, "commit", "-q", "--allow-empty", "-m", "nothing yet")
    write(inside, OLD)
    git(inside, "add", ".")
    git(inside, "commit", "-q", "-m", "locks")
    write(inside, NEW)
    return inside


def git(folder, *arguments):
    """Run git as nobody in particular."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def write(folder, artifacts):
    """Write a Python lock of these, and an empty Maven lock."""
    lockfile.write(folder / "python.lock.json", Lock("python", "0" * 64, tuple(artifacts)))
    lockfile.write(folder / "maven.lock.json", Lock("maven", "0" * 64, ()))


def test_the_lines_are_grouped_by_what_happened(folder):
    """Each kind of lock, and in it each kind of change, with what a person wants to know of it."""
    assert list(difference.compare("HEAD", ".", folder)) == [
        "maven: no difference (0 artifacts, 0 B)",
        "python: 5 artifacts, 5.0 kB → 6 artifacts, 7.5 kB",
        "  added:",
        "    come 3 (work, 2.5 kB)",
        "    two 2 (build, 1.0 kB)",
        "  removed:",
        "    gone 1 (work, 1.0 kB)",
        "  changed:",
        "    risen 1 → 2",
        "  same version, other file:",
        f"    kept 1: kept-1-py3-none-any.whl {'a' * 12} → kept-1-py3-none-any.whl {'b' * 12}",
        "  moved:",
        "    moved 1: work → build, work",
    ]


def test_files_folders_and_revisions_compare_with_each_other(folder, tmp_path):
    """A revision, the repository's folder, a file of it: the same lock by any name."""
    (tmp_path / "old").mkdir()
    write(tmp_path / "old", OLD)
    wanted = list(difference.compare("HEAD", ".", folder))
    assert list(difference.compare(str(tmp_path / "old"), str(folder.parents[1]), folder)) == wanted
    file = str(tmp_path / "old" / "python.lock.json")
    assert list(difference.compare(file, ".", folder)) == wanted[1:]
    assert list(difference.compare("main", file, folder)) == ["python: no difference (5 artifacts, 5.0 kB)"]


def test_there_and_back_mirror_each_other(folder):
    """What is added one way is removed the other."""
    there = "\n".join(difference.compare("HEAD", ".", folder))
    back = "\n".join(difference.compare(".", "HEAD", folder))
    assert "added:\n    come 3" in there
    assert "removed:\n    come 3" in back
    assert "risen 2 → 1" in back


@pytest.mark.parametrize("named", ["no-such-thing", "-n", "HEAD:x", "--output=x", "a b"])
def test_what_is_nothing_is_refused(folder, named):
    """Neither file, folder nor revision: the message says what could have been named."""
    with pytest.raises(LockError, match="revision"):
        list(difference.compare(named, ".", folder))


def test_a_time_before_the_locks_is_told_so(folder, tmp_path):
    """A revision or a folder without locks is not the same as locks without artifacts."""
    with pytest.raises(LockMissingError, match="HEAD~1"):
        list(difference.compare("HEAD~1", ".", folder))
    with pytest.raises(LockMissingError, match="no locks"):
        list(difference.compare(str(tmp_path), ".", folder))


def test_a_broken_lock_is_named_with_its_revision(folder):
    """Old locks are read as strictly as today's."""
    (folder / "python.lock.json").write_text("{}")
    git(folder, "commit", "-q", "-am", "break")
    with pytest.raises(LockError, match=r"python\.lock\.json of HEAD"):
        list(difference.compare("HEAD", "HEAD~1", folder))


def test_a_lock_that_came_is_all_added(folder):
    """When one side lacks a kind altogether, every artifact of it is new."""
    (folder / "debian.lock.json").write_text(
        lockfile.render(
            Lock("debian", "0" * 64, (dataclasses.replace(OLD[0], archive="debian", path=f"pool/{OLD[0].file}"),))
        )
    )
    assert list(difference.compare("HEAD", ".", folder))[:3] == [
        "debian: 0 artifacts, 0 B → 1 artifacts, 1.0 kB",
        "  added:",
        "    gone 1 (work, 1.0 kB)",
    ]
