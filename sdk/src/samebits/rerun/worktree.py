"""A fresh worktree for one rerun: made at the recorded commit, filled with the datasets, always removed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from samebits import datasets, repository
from samebits.errors import RepositoryError, RerunError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from samebits.rerun.plan import Placement

FICLONE = 0x40049409
COPY_BYTES = 1024**3


@contextlib.contextmanager
def checked_out(root: str, commit: str, placements: list[Placement]) -> Iterator[str]:
    """Yield the path of a worktree at `commit`, below `.samebits/` of the repository; removed on every way out.

    Neither the user's tree nor index nor branches are touched; hooks of the repository do not run.
    """
    folder = repository.state_folder(root) / "worktrees" / secrets.token_hex(6)
    folder.parent.mkdir(exist_ok=True)
    try:
        repository.git(root, "worktree", "add", "--detach", "--quiet", str(folder), commit)
        for placement in placements:
            place(placement, str(folder))
        yield str(folder)
    except OSError as error:
        raise RepositoryError(f"The worktree {folder} could not be made ({error.strerror}). It was removed again; make "
                              "room or check the permissions of that folder.") from error
    finally:
        remove(root, folder)


def remove(root: str, folder: Path) -> None:
    """Delete a worktree and git's notes on it; whatever is already gone is fine."""
    with contextlib.suppress(RepositoryError):
        repository.git(root, "worktree", "remove", "--force", "--force", str(folder))
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(RepositoryError):
        repository.git(root, "worktree", "prune")
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def place(placement: Placement, worktree: str) -> None:
    """Put one dataset at its relative path, checking that the path does not lead out of the worktree."""
    target = os.path.join(worktree, placement.dataset.path)
    if not datasets.is_under(os.path.realpath(os.path.dirname(target)), os.path.realpath(worktree)):
        raise RerunError(f"The dataset path {placement.dataset.path} leads out of the worktree through a link in the "
                         "commit. Nothing was executed.")
    if placement.dataset.kind == "file":
        _copy(placement.source, target, placement.dataset.size)
        return
    for name in datasets.list_files(placement.source):
        _copy(os.path.join(placement.source, name), os.path.join(target, name), placement.dataset.size)


def _copy(source: str, target: str, total: int) -> None:
    """Clone where the file system can; else copy up to 1 GiB, link beyond (a link shows the original)."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
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
