"""What a lock holds, as plain values. Standard library only, Python 3.9 or newer."""

from __future__ import annotations

import re
from dataclasses import dataclass

VERSION = 1
KINDS = ("debian", "maven", "python")

_NOT_IN_STORE_NAMES = re.compile(r"[^A-Za-z0-9+._?=-]")


@dataclass(frozen=True)
class Artifact:
    """One file to fetch. `size` is in bytes, `sha256` in lower-case hex, `sets` sorted.

    `path` is relative to the archive's or repository's base (debian and maven), `archive` says which
    (debian).
    """

    name: str
    version: str
    file: str
    store: str
    size: int
    sha256: str
    sets: tuple[str, ...]
    path: str | None = None
    archive: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What artifacts are sorted by, and unique in."""
        return (self.name, self.version, self.file)


@dataclass(frozen=True)
class Bootstrap:
    """The one executable everything starts from: `member` of the .deb `from_file`.

    In the store it is the folder `store` that holds it under the same name; `nar_sha256` (hex) is that
    folder's.
    """

    store: str
    from_file: str
    member: str
    nar_sha256: str


@dataclass(frozen=True)
class Lock:
    """A whole lock: `artifacts` sorted by name, version, file; the checksum of the `intent` it answers."""

    kind: str
    intent: str
    artifacts: tuple[Artifact, ...]
    bootstrap: Bootstrap | None = None
    version: int = VERSION


def store_name(file: str) -> str:
    """Map a mirror's file name to the name it has in the Nix store, which allows fewer characters."""
    return _NOT_IN_STORE_NAMES.sub("_", file)
