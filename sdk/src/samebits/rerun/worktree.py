"""A fresh worktree for one rerun: made at the recorded commit, filled with the datasets, always removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
from typing import TYPE_CHECKING

from samebits import datasets, repository
from samebits.errors import RepositoryError, RerunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from samebits.rerun.plan import Placement

FICLONE = 0x40049409
COPY_BYTES = 1024**3
FOLDER = ".samebits/worktrees"


@contextlib.contextmanager
def checked_out(root: str, commit: str, placements: list[Placement]) -> Iterator[str]:
    """Yield the path of a worktree at `commit`, below the repository's `.samebits/`; gone on every way out.

    Neither the user's tree nor index nor branches are touched; hooks of the repository do not run.
    """
    parent = repository.state_folder(root) / "worktrees"
    parent.mkdir(exist_ok=True)
    folder = parent / secrets.token_hex(6)
    with _claimed(folder):
        _sweep(root, parent)
        try:
            _make(root, commit, folder, placements)
            yield str(folder)
        finally:
            remove(root, folder)


def _make(root: str, commit: str, folder: Path, placements: list[Placement]) -> None:
    try:
        repository.git(root, "worktree", "add", "--detach", "--quiet", str(folder), commit)
        for placement in placements:
            place(placement, str(folder))
    except OSError as error:
        raise RepositoryError(
            f"The worktree {folder} could not be filled ({error.strerror}). It was removed again; make room, "
            "or check the permissions of that folder."
        ) from error


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Hold a lock beside the worktree while it is in use: without its holder it is rubbish, see `_sweep`."""
    lock = folder.with_suffix(".lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _sweep(root: str, parent: Path) -> None:
    """Remove worktrees whose rerun was killed before it could."""
    for lock in parent.glob("*.lock"):
        with contextlib.suppress(OSError), lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(root, lock.with_suffix(""))
            lock.unlink(missing_ok=True)


def remove(root: str, folder: Path) -> None:
    """Delete a worktree and git's notes on it; whatever is already gone is fine."""
    with contextlib.suppress(RepositoryError):
        repository.git(root, "worktree", "remove", "--force", "--force", str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(RepositoryError):
        repository.git(root, "worktree", "prune")


def homeward(text: str, root: str) -> str:
    """A text in which the path of any worktree of `root` stands as the path of `root` itself."""
    return re.sub(re.escape(f"{root}/{FOLDER}/") + "[0-9a-f]{12}", lambda _: root, text)


def place(placement: Placement, worktree: str) -> None:
    """Put one dataset at its relative path, refusing a path that leads out of the worktree through a link."""
    target = os.path.join(worktree, placement.dataset.path)
    if placement.dataset.kind == "file":
        _put(placement.source, target, worktree, placement.dataset.size)
        return
    for name in datasets.list_files(placement.source):
        source = os.path.join(placement.source, name)
        _put(source, os.path.join(target, name), worktree, placement.dataset.size)


def _put(source: str, target: str, worktree: str, total: int) -> None:
    """Clone where the file system can; else copy up to 1 GiB, link beyond (a link shows the original)."""
    if not datasets.is_under(os.path.realpath(os.path.dirname(target)), os.path.realpath(worktree)):
        raise RerunError(
            f"The dataset path {target} leads out of the worktree through a link in the commit. Nothing was "
            "executed; make that folder a real one, or name the dataset by its real path."
        )
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)
    if _cloned(source, target):
        return
    if total > COPY_BYTES:
        os.symlink(os.path.realpath(source), target)
    else:
        shutil.copyfile(source, target)


def _cloned(source: str, target: str) -> bool:
    with open(source, "rb") as original, open(target, "xb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), FICLONE, original.fileno())
        except OSError:
            pass
        else:
            return True
    os.unlink(target)
    return False
