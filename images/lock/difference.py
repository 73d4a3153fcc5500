"""The difference of two locks, in lines for people: what came, what went, what changed."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from images.errors import LockError, LockMissingError
from images.lock import lockfile
from images.lock.lockfile import KINDS, Artifact, Lock
from images.progress import readable

Locks = Mapping[str, Lock]

_TITLES = ("added", "removed", "changed", "same version, other file", "moved")


def read(named: str, folder: Path) -> dict[str, Lock]:
    """Read the locks that `named` means, by kind.

    It is a lock file, a folder of them, a revision of `folder`'s repository, or "." for `folder` itself.
    Raises LockError when there are none, or one of them cannot be read.
    """
    path = folder if named == "." else Path(named)
    if path.is_file():
        lock = lockfile.load(path)
        return {lock.kind: lock}
    if path.is_dir():
        inner = path / "images" / "lock"
        return _folder(inner if inner.is_dir() else path)
    return _revision(named, folder)


def compare(old: str, new: str, folder: Path) -> Iterator[str]:
    """Give the lines on what `old` and `new` mean to `read`; beside a single file, only its kind counts."""
    before, after = read(old, folder), read(new, folder)
    kinds = set(before) | set(after)
    for named, found in ((old, before), (new, after)):
        if Path(named).is_file():
            kinds &= set(found)
    for kind in KINDS:
        if kind in kinds:
            yield from _kind(kind, _artifacts(before, kind), _artifacts(after, kind))


def _kind(kind: str, old: list[Artifact], new: list[Artifact]) -> Iterator[str]:
    before, after = _by_name(old), _by_name(new)
    found: dict[str, list[str]] = {title: [] for title in _TITLES}
    for name in sorted(before.keys() | after.keys()):
        for title, line in _name(name, before.get(name, {}), after.get(name, {})):
            found[title].append(line)
    if not any(found.values()):
        yield f"{kind}: no difference ({len(new)} artifacts, {_size(new)})"
        return
    yield f"{kind}: {len(old)} artifacts, {_size(old)} → {len(new)} artifacts, {_size(new)}"
    for title, changes in found.items():
        if changes:
            yield f"  {title}:"
            yield from (f"    {change}" for change in changes)


def _name(name: str, before: Mapping[str, Artifact], after: Mapping[str, Artifact]) -> Iterator[tuple[str, str]]:
    """Compare the versions of one name; gives titles and lines."""
    gone = [item for version, item in before.items() if version not in after]
    come = [item for version, item in after.items() if version not in before]
    if gone and come:
        old, new = (", ".join(item.version for item in items) for items in (gone, come))
        yield "changed", f"{name} {old} → {new}"
    else:
        for title, items in (("added", come), ("removed", gone)):
            for item in items:
                about = f"{', '.join(item.sets)}, {readable(item.size)}"
                yield title, f"{name} {item.version} ({about})"
    for version in before.keys() & after.keys():
        old_item, new_item = before[version], after[version]
        if old_item.sha256 != new_item.sha256:
            change = f"{old_item.file} {old_item.sha256[:12]} → {new_item.file} {new_item.sha256[:12]}"
            yield "same version, other file", f"{name} {version}: {change}"
        if old_item.sets != new_item.sets:
            yield "moved", f"{name} {version}: {', '.join(old_item.sets)} → {', '.join(new_item.sets)}"


def _by_name(artifacts: list[Artifact]) -> dict[str, dict[str, Artifact]]:
    found: dict[str, dict[str, Artifact]] = {}
    for artifact in artifacts:
        found.setdefault(artifact.name, {})[artifact.version] = artifact
    return found


def _artifacts(locks: Locks, kind: str) -> list[Artifact]:
    return list(locks[kind].artifacts) if kind in locks else []


def _size(artifacts: list[Artifact]) -> str:
    return readable(sum(artifact.size for artifact in artifacts))


def _folder(folder: Path) -> dict[str, Lock]:
    found = {}
    for kind in KINDS:
        path = folder / f"{kind}.lock.json"
        if path.exists():
            found[kind] = lockfile.load(path)
    if not found:
        raise LockMissingError(
            f"There are no locks in {folder}. Name a lock file, a folder of locks or a git revision."
        )
    return found


def _revision(revision: str, folder: Path) -> dict[str, Lock]:
    if revision.startswith("-") or not re.fullmatch(r"[^\s:]+", revision):
        raise LockError(f"{revision!r} is neither a file, a folder nor a git revision. Name one of these.")
    listed = _git(folder, "ls-tree", "--name-only", revision, "./")
    if listed is None:
        raise LockError(
            f"{revision} is neither a file nor a folder here, and no revision of the git repository of "
            f"{folder}. Name one of these; `git log` shows the revisions."
        )
    found = {}
    for kind in KINDS:
        name = f"{kind}.lock.json"
        if name in listed.split():
            text = _git(folder, "show", f"{revision}:./{name}") or ""
            found[kind] = lockfile.parse(text, f"{name} of {revision}")
    if not found:
        raise LockMissingError(f"There were no locks in {folder} at {revision} yet. Name a later revision.")
    return found


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        command = ["git", "-C", str(folder), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
