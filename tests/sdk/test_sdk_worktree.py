"""Datasets are put into worktrees as copies, and never outside of them."""

import pytest
from samebits import datasets
from samebits.errors import RerunError
from samebits.rerun import worktree
from samebits.rerun.plan import Placement


def placement(source, path, root):
    return Placement(datasets.measure(root / path, None, str(root)), str(source))


@pytest.fixture
def tree(tmp_path):
    """A user's tree with a dataset folder, and an empty worktree; returns both."""
    (tmp_path / "tree" / "data" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "data" / "sub" / "a").write_bytes(b"1")
    (tmp_path / "tree" / "data" / "b").write_bytes(b"22")
    (tmp_path / "work").mkdir()
    return tmp_path / "tree", tmp_path / "work"


def test_files_and_folders_are_copied_to_the_same_place(tree):
    """The program may overwrite what it is given: the user's own stays."""
    home, work = tree
    worktree.place(placement(home / "data", "data", home), str(work))
    assert datasets.hash_folder(str(work / "data")) == datasets.hash_folder(str(home / "data"))
    (work / "data" / "b").write_bytes(b"overwritten")
    assert (home / "data" / "b").read_bytes() == b"22"


def test_beyond_the_limit_data_is_linked(tree, monkeypatch):
    """What is too large to copy shows through a link, where the file system cannot clone."""
    home, work = tree
    monkeypatch.setattr(worktree, "COPY_BYTES", 1)
    monkeypatch.setattr(worktree, "FICLONE", 0)
    worktree.place(placement(home / "data" / "b", "data/b", home), str(work))
    assert (work / "data" / "b").readlink() == home / "data" / "b"


def test_what_the_commit_has_there_is_replaced(tree):
    """Data taken from here replaces the commit's own file, also a link, without writing through it."""
    home, work = tree
    (work / "data").mkdir()
    (work.parent / "victim").write_bytes(b"safe")
    (work / "data" / "b").symlink_to(work.parent / "victim")
    worktree.place(placement(home / "data" / "b", "data/b", home), str(work))
    assert (work / "data" / "b").read_bytes() == b"22"
    assert (work.parent / "victim").read_bytes() == b"safe"


def test_a_link_out_of_the_worktree_is_not_followed(tree):
    """A commit whose data folder is a link to elsewhere cannot make a rerun write there."""
    home, work = tree
    (work.parent / "elsewhere").mkdir()
    (work / "data").symlink_to(work.parent / "elsewhere")
    with pytest.raises(RerunError, match="leads out of the worktree"):
        worktree.place(placement(home / "data" / "b", "data/b", home), str(work))
    assert list((work.parent / "elsewhere").iterdir()) == []


def test_worktree_paths_come_home():
    """Only the paths of this repository's worktrees stand for the repository."""
    moved = worktree.homeward("see /r/.samebits/worktrees/0123456789ab/x and /r/.samebits/worktrees/short/x", "/r")
    assert moved == "see /r/x and /r/.samebits/worktrees/short/x"
    assert worktree.homeward("/q/.samebits/worktrees/0123456789ab", "/r") == "/q/.samebits/worktrees/0123456789ab"
