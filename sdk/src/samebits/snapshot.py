"""The content of a dirty tree: all that git would commit of it, kept without touching the repository.

Git writes into an index and an object folder of our own, below `.samebits/`; of the user's index, tree, branches and
objects everything is only read. The snapshot is a commit on top of the head, and the same tree gives the same commit.
What travels with the run is a pack of the objects that the head lacks.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from samebits import repository, secretscan
from samebits.errors import RecordError, SnapshotError
from samebits.record import PACK_ARTIFACT, SNAPSHOT_BYTES, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

IN_USE = "in-use"
CONTENT = "the content of the changed files"  # how a record begins to say that it was not kept
KEPT_SECONDS = 7 * 24 * 3600
NAMED = 3
SOMEBODY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "samebits"), ("EMAIL", "samebits@localhost"), ("DATE", "@0 +0000"))
}


def take(root: str, head: str, leave_out: Sequence[str]) -> str:
    """Keep the tree at `root` as it is now, without the files in `leave_out`; gives the snapshot's commit.

    Raises SnapshotError when the tree is larger than SNAPSHOT_BYTES.
    """
    folder = _folder(root)
    _sweep(folder)
    scratch = Path(tempfile.mkdtemp(prefix=".", dir=folder))
    try:
        commit = _commit(root, head, scratch, leave_out)
        kept = folder / commit
        try:
            scratch.rename(kept)
        except OSError:  # of two runs that start at once on one tree, one is first
            if not kept.exists():
                raise
            os.utime(kept)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return commit


def _folder(root: str) -> Path:
    folder = repository.state_folder(root) / "snapshots"
    folder.mkdir(exist_ok=True)
    return folder


def _sweep(folder: Path) -> None:
    """Remove what runs left a week ago and more, but for those that still go on."""
    for kept in folder.iterdir():
        with contextlib.suppress(OSError):  # another process sweeps as well, or the run is at work: _hold
            if time.time() - kept.stat().st_mtime > KEPT_SECONDS:
                with (kept / IN_USE).open("w") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(kept, ignore_errors=True)


def _hold(kept: Path) -> IO[str]:
    """Keep a snapshot from being swept as long as the file that this gives is open."""
    file = (kept / IN_USE).open("w")
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _commit(root: str, head: str, scratch: Path, leave_out: Sequence[str]) -> str:
    index = repository.git_path(root, "index")
    if os.path.exists(index):  # with what git knows of unchanged files, so that they need not be read
        shutil.copyfile(index, scratch / "index")
    (scratch / "objects").mkdir()
    environ = _apart(root, scratch) | {"GIT_INDEX_FILE": str(scratch / "index")}
    excluded = [f":(top,literal,exclude){path}" for path in leave_out]
    _require_small(root, environ, excluded)
    repository.git(root, "add", "--all", "--", ":(top)", *excluded, environ=environ)
    tree = repository.git(root, "write-tree", environ=environ).decode().strip()
    command = ["commit-tree", tree, "-p", head, "-m", "A tree as it was when a run started"]
    commit = repository.git(root, *command, environ=environ | SOMEBODY).decode().strip()
    (scratch / "index").unlink()
    return commit


def _apart(root: str, folder: Path) -> dict[str, str]:
    """For git: new objects go into `folder`, the repository's own are there to be read."""
    return {
        "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": repository.git_path(root, "objects"),
    }


def _require_small(root: str, environ: Mapping[str, str], excluded: list[str]) -> None:
    command = ["ls-files", "-z", "--modified", "--others", "--exclude-standard", "--", ":(top)", *excluded]
    sizes = {}
    for name in repository.git(root, *command, environ=environ).split(b"\0"):
        path = os.path.join(root, os.fsdecode(name))
        if name and os.path.lexists(path):
            sizes[os.fsdecode(name)] = os.lstat(path).st_size
    total = sum(sizes.values())
    if total > SNAPSHOT_BYTES:
        largest = sorted(sizes, key=lambda name: (-sizes[name], name))[:NAMED]
        raise SnapshotError(
            f"the changed files have {total} bytes, and {SNAPSHOT_BYTES} are kept at most (the largest: "
            f"{', '.join(largest)}); have git ignore data and name them with samebits.dataset(), or commit"
        )


def _changes(root: str, head: str, commit: str, environ: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Mode, object and path of what the snapshot has and the head has not."""
    command = ["diff-tree", "-r", "-z", "--no-renames", "--diff-filter=AMT", head, commit]
    fields = repository.git(root, *command, environ=environ).split(b"\0")
    metas = (field.decode().split(" ") for field in fields[0:-1:2])
    return [(meta[1], meta[3], os.fsdecode(path)) for meta, path in zip(metas, fields[1::2], strict=True)]


def _contents(root: str, ids: list[str], environ: Mapping[str, str]) -> Iterator[bytes]:
    """The content of each blob, in turn."""
    told = repository.git(
        root, "cat-file", "--batch", environ=environ, stdin="".join(f"{id_}\n" for id_ in ids).encode()
    )
    position = 0
    for _ in ids:
        start = told.index(b"\n", position) + 1
        size = int(told[position : start - 1].split(b" ")[2])
        yield told[start : start + size]
        position = start + size + 1


@dataclass(frozen=True)
class Kept:
    """What came of a snapshot: `snapshot` and its `pack`, or the `problem` that nothing is kept for."""

    snapshot: Snapshot | None = None
    pack: Path | None = None
    problem: str | None = None


class Keeper:
    """Looks through a snapshot for secrets and packs it, beside the program; `result` waits for that."""

    def __init__(self, root: str, head: str, commit: str) -> None:
        self._root, self._head, self._commit = root, head, commit
        self._kept: Kept | None = None
        self._held = _hold(_folder(root) / commit)
        self._thread = threading.Thread(target=self._fill, name="samebits-snapshot", daemon=True)
        self._thread.start()

    def result(self) -> Kept:
        """What came of it; in a forked process, where no thread of the parent runs, it is done anew."""
        if self._kept is None:
            self._thread.join()
        return self._kept or self._fill()

    def _fill(self) -> Kept:
        try:
            kept = keep(self._root, self._head, self._commit)
        except Exception as error:  # noqa: BLE001  (recording never fails the experiment)
            kept = Kept(problem=str(error))
        self._kept = kept
        return kept


def keep(root: str, head: str, commit: str) -> Kept:
    """Pack a snapshot that `take` made.

    Raises SnapshotError when something in it looks like a secret, or is a repository of its own: of that git keeps a
    commit id only.
    """
    folder = _folder(root) / commit
    environ = _apart(root, folder)
    changed = _changes(root, head, commit, environ)
    if inner := next((name for mode, _, name in changed if mode == repository.SUBMODULE), None):
        raise SnapshotError(f"{inner} is a repository of its own, whose content git does not keep here; commit there")
    contents = _contents(root, [id_ for _, id_, _ in changed], environ)
    for (_, _, name), content in zip(changed, contents, strict=True):
        if found := secretscan.find(name, content):
            raise SnapshotError(
                f"{name}, line {found.line}, looks like a secret ({found.kind}), which does not belong into a tracking "
                "store; have git ignore the file, or, if it is none, end the line with `# pragma: allowlist secret`"
            )
    wanted = f"{commit}\n^{head}\n".encode()
    data = repository.git(
        root, "pack-objects", "--revs", "--stdout", "-q", "--threads=1", environ=environ, stdin=wanted
    )
    if len(data) > SNAPSHOT_BYTES:
        raise SnapshotError(f"its pack has {len(data)} bytes, and {SNAPSHOT_BYTES} are kept at most; commit")
    pack = folder / os.path.basename(PACK_ARTIFACT)
    partial = pack.with_suffix(f".{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(pack)
    return Kept(Snapshot(commit, hashlib.sha256(data).hexdigest(), len(data), len(changed)), pack)


def restore(root: str, head: str, snapshot: Snapshot, data: bytes) -> None:
    """Put a snapshot's objects into the repository, unreachable from any branch, so that git can check it out.

    Raises RecordError when the data are not the recorded ones or do not hold the commit.
    """
    if hashlib.sha256(data).hexdigest() != snapshot.sha256:
        raise RecordError(
            f"The run's {PACK_ARTIFACT} is not the one that its record names by sha256: it was exchanged or damaged, "
            "and nothing is executed from it. `--here code` executes the tree as it is here instead."
        )
    repository.git(root, "unpack-objects", "-q", "--strict", stdin=data)
    if repository.parents(root, snapshot.commit) != [head]:
        raise RecordError(
            f"The run's {PACK_ARTIFACT} does not hold the snapshot {snapshot.commit} of a tree on {head}, which its "
            "record names: it was edited, and nothing is executed from it."
        )
