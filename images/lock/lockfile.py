"""The lock file: what an intent resolved to, as names and hashes, never addresses.

The text is canonical (sorted, indented by one space, final newline), so that two locks can be compared
line by line. Reading one checks it completely. Standard library only, Python 3.9 or newer: the fetcher
reads locks on bare machines.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from images.errors import LockInvalidError, LockMissingError
from images.lock.entries import KINDS, VERSION, Artifact, Bootstrap, Lock, store_name
from images.lock.validation import parse, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "KINDS",
    "VERSION",
    "Artifact",
    "Bootstrap",
    "Lock",
    "check_together",
    "load",
    "parse",
    "render",
    "store_name",
    "write",
]

_MAX_TEXT = 64 * 1024 * 1024


def load(path: Path) -> Lock:
    """Read and check the lock at `path`.

    Raises LockMissingError when there is none, LockInvalidError when anything in it is wrong.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_TEXT + 1)
    except FileNotFoundError:
        raise LockMissingError(
            f"There is no lock at {path}. Restore it with git, or make it with `python3 -m images.lock refresh`."
        ) from None
    if len(raw) > _MAX_TEXT:
        refuse(str(path), "it is larger than any lock can be")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        refuse(str(path), "it is not UTF-8")
    return parse(text, str(path))


def render(lock: Lock) -> str:
    """Give the canonical text of a lock; `parse` of it gives the lock back, with its artifacts sorted."""
    artifacts = []
    for artifact in sorted(lock.artifacts, key=lambda item: item.key):
        entry: dict[str, Any] = {key: value for key, value in vars(artifact).items() if value is not None}
        entry["sets"] = sorted(artifact.sets)
        artifacts.append(entry)
    data: dict[str, Any] = {
        "version": lock.version,
        "kind": lock.kind,
        "intent": lock.intent,
        "artifacts": artifacts,
    }
    if lock.bootstrap is not None:
        entry = dict(vars(lock.bootstrap))
        entry["from"] = entry.pop("from_file")
        data["bootstrap"] = entry
    return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(path: Path, lock: Lock) -> None:
    """Write a lock: readers see the old text or the new, whole. What `parse` refuses is not written."""
    text = render(lock)
    parse(text, f"the new {path.name}")
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def check_together(locks: Iterable[Lock]) -> None:
    """Refuse locks that put two different files under one name in the store. Raises LockInvalidError."""
    seen: dict[str, tuple[str, str]] = {}
    for lock in locks:
        for artifact in lock.artifacts:
            other = seen.setdefault(artifact.store, (lock.kind, artifact.file))
            if other != (lock.kind, artifact.file):
                raise LockInvalidError(
                    f"The {other[0]} lock's {other[1]} and the {lock.kind} lock's {artifact.file} would both "
                    f"be called {artifact.store} in the Nix store. Choose another version of one of them in "
                    f"its intent and run `python3 -m images.lock refresh {lock.kind}`."
                )
