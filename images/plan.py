"""What the locks want in the store, and where there. Standard library only, Python 3.9 or newer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from images.errors import SamebitsImageError
from images.lock import lockfile
from images.nixstore import flat_path, recursive_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Wanted:
    """A pinned file, which kind of lock it is from, and its place in the store."""

    artifact: lockfile.Artifact
    kind: str
    path: str


@dataclass(frozen=True)
class WantedTree:
    """The bootstrap: a store folder that holds `member` of the package `source` under the folder's name."""

    name: str
    source: Wanted
    member: str
    path: str


@dataclass(frozen=True)
class Plan:
    """The files and the bootstrap to have; `defaults` are packages that tell default registries."""

    files: tuple[Wanted, ...]
    bootstrap: WantedTree | None
    defaults: tuple[Wanted, ...]

    @property
    def paths(self) -> list[str]:
        """All store paths that the plan wants."""
        return [item.path for item in self.files] + ([self.bootstrap.path] if self.bootstrap else [])


def make(lock_dir: Path, sets: Sequence[str]) -> Plan:
    """Read the three locks and choose what is in one of `sets`, or everything when there are none.

    Raises LockError, or SamebitsImageError for a set that no lock has.
    """
    locks = [lockfile.load(lock_dir / f"{kind}.lock.json") for kind in lockfile.KINDS]
    lockfile.check_together(locks)
    known = sorted({name for lock in locks for artifact in lock.artifacts for name in artifact.sets})
    unknown = sorted(set(sets) - set(known))
    if unknown:
        raise SamebitsImageError(f"No lock has the set {', '.join(unknown)}. The sets are {', '.join(known)}.")

    def chosen(item: Wanted) -> bool:
        return not sets or not set(sets).isdisjoint(item.artifact.sets)

    every = [
        Wanted(artifact, lock.kind, flat_path(artifact.store, artifact.sha256))
        for lock in locks
        for artifact in lock.artifacts
    ]
    bootstrap = None
    for lock in locks:
        if lock.bootstrap is None:
            continue
        source = next(item for item in every if item.artifact.file == lock.bootstrap.from_file)
        if chosen(source):
            path = recursive_path(lock.bootstrap.store, lock.bootstrap.nar_sha256)
            bootstrap = WantedTree(lock.bootstrap.store, source, lock.bootstrap.member, path)
    defaults = tuple(item for item in every if "defaults" in item.artifact.sets)
    return Plan(tuple(filter(chosen, every)), bootstrap, defaults)
