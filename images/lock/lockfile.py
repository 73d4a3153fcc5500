"""The lock file: what an intent resolved to, as names and hashes, never addresses.

A lock is checked completely when it is read, because what it says ends up in file names, URLs and store paths: every
string is matched against the alphabet it may use, so that no path traversal, newline or address can hide in one.
The text is canonical (sorted, indented by one space, final newline), so that two locks can be compared line by line.

Standard library only, Python 3.9 or newer: the fetcher reads locks on bare machines.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Optional

from images.errors import LockInvalidError, LockMissingError

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
KINDS = ("debian", "maven", "python")

_MAX_TEXT = 64 * 1024 * 1024
_MAX_SIZE = 1 << 40
_MAX_STORE = 207  # Nix refuses store names longer than 211 characters; ".lock" and friends need room
_HEX = re.compile(r"[0-9a-f]{64}")
_SET = re.compile(r"[a-z][a-z0-9-]{0,39}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+:~!_-]{0,127}")
_FILE = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+~%=@!-]{0,206}")
_MEMBER = re.compile(r"\./[0-9A-Za-z._+/-]{1,200}")
_NAMES = {
    "debian": re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}"),
    "python": re.compile(r"(?=.{1,128}$)[a-z0-9]+(?:-[a-z0-9]+)*"),
    "maven": re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}:[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}"),
}
_ARCHIVES = ("debian", "debian-security")
_NOT_IN_STORE_NAMES = re.compile(r"[^A-Za-z0-9+._?=-]")


@dataclass(frozen=True)
class Artifact:
    """One file to fetch. `size` is in bytes, `sha256` in lower-case hex, `sets` sorted.

    `path` is relative to the archive's or repository's base (debian and maven), `archive` names which archive (debian).
    """

    name: str
    version: str
    file: str
    store: str
    size: int
    sha256: str
    sets: tuple[str, ...]
    path: Optional[str] = None
    archive: Optional[str] = None

    @property
    def key(self) -> tuple[str, str, str]:
        """What artifacts are sorted by, and unique in."""
        return (self.name, self.version, self.file)


@dataclass(frozen=True)
class Bootstrap:
    """The one executable everything starts from: `member` of the .deb `from_file`, added to the store as `store`."""

    store: str
    from_file: str
    member: str
    nar_sha256: str


@dataclass(frozen=True)
class Lock:
    """A whole lock; `artifacts` are sorted by name, version, file; `intent` is the checksum of the intent it answers."""

    kind: str
    intent: str
    artifacts: tuple[Artifact, ...]
    bootstrap: Optional[Bootstrap] = None
    version: int = VERSION


def store_name(file: str) -> str:
    """Map a mirror's file name to the name it has in the Nix store, which allows fewer characters."""
    return _NOT_IN_STORE_NAMES.sub("_", file)


def load(path: Path) -> Lock:
    """Read and check the lock at `path`.

    Raises LockMissingError when there is none, LockInvalidError when anything about it is not as it should be.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_TEXT + 1)
    except FileNotFoundError:
        raise LockMissingError(
            f"There is no lock at {path}. Make one with `python3 -m images.lock refresh {_kind_of(path)}`."
        ) from None
    if len(raw) > _MAX_TEXT:
        _refuse(str(path), "it is larger than any lock can be")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        _refuse(str(path), "it is not UTF-8")
    return parse(text, str(path))


def parse(text: str, where: str) -> Lock:
    """Turn the text of a lock into a Lock; `where` is what messages call it. Raises LockInvalidError."""
    try:
        data = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, where))
    except (ValueError, RecursionError) as error:
        _refuse(where, f"it is not JSON ({error})")
    check = _Checker(where)
    fields = check.fields(data, {"version", "kind", "intent", "artifacts"}, {"bootstrap"}, "the lock")
    if fields["version"] != VERSION or isinstance(fields["version"], bool):
        _refuse(where, f"its format version is {fields['version']!r}, and this checkout reads {VERSION}")
    kind = fields["kind"]
    if kind not in KINDS:
        _refuse(where, f"its kind is {kind!r}, not one of {', '.join(KINDS)}")
    intent = check.text(fields["intent"], _HEX, "intent")
    if not isinstance(fields["artifacts"], list):
        _refuse(where, "its artifacts are not a list")
    artifacts = tuple(check.artifact(kind, item) for item in fields["artifacts"])
    for before, after in zip(artifacts, artifacts[1:]):
        if before.key == after.key:
            _refuse(where, f"{after.file} is in it twice")
        if before.key > after.key:
            _refuse(where, f"it is not sorted: {after.name} {after.version} comes after {before.name}")
    check.distinct_stores(artifacts)
    bootstrap = None
    if "bootstrap" in fields:
        if kind != "debian":
            _refuse(where, "only a debian lock has a bootstrap")
        bootstrap = check.bootstrap(fields["bootstrap"], artifacts)
    return Lock(kind, intent, artifacts, bootstrap)


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
    """Write a lock so that a reader sees the old text or the new, never a part; what `parse` refuses is not written."""
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
    """Refuse locks that would put two different files under one name in the store. Raises LockInvalidError."""
    seen: dict[str, tuple[str, str]] = {}
    for lock in locks:
        for artifact in lock.artifacts:
            other = seen.setdefault(artifact.store, (lock.kind, artifact.file))
            if other != (lock.kind, artifact.file):
                raise LockInvalidError(
                    f"The {other[0]} lock's {other[1]} and the {lock.kind} lock's {artifact.file} would both be called "
                    f"{artifact.store} in the Nix store. Choose another version of one of them in its intent and run "
                    f"`python3 -m images.lock refresh {lock.kind}`."
                )


def _object(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse(where, "an object in it names the same key twice")
    return found


def _kind_of(path: Path) -> str:
    return path.name.split(".", 1)[0]


def _refuse(where: str, why: str) -> NoReturn:
    raise LockInvalidError(
        f"The lock {where} cannot be used: {why}. Restore the committed file with git, or make it anew with "
        f"`python3 -m images.lock refresh`."
    )


class _Checker:
    """Checks values of one lock, whose name `where` goes into every message."""

    def __init__(self, where: str) -> None:
        self._where = where

    def fields(self, value: object, needed: set[str], allowed: set[str], what: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            _refuse(self._where, f"{what} is not an object")
        missing, unknown = needed - set(value), set(value) - needed - allowed
        if missing or unknown:
            complaint = f"lacks {sorted(missing)}" if missing else f"has unknown fields {_short(sorted(unknown))}"
            _refuse(self._where, f"{what} {complaint}")
        return value

    def text(self, value: object, pattern: re.Pattern[str], what: str) -> str:
        if isinstance(value, str) and "://" in value:
            _refuse(self._where, f"{what} holds an address, {_short(value)}, and locks hold none")
        if not isinstance(value, str) or not pattern.fullmatch(value):
            _refuse(self._where, f"{what} is {_short(value)}, which is not a value it may have")
        return value

    def artifact(self, kind: str, value: object) -> Artifact:
        needed = {"name", "version", "file", "store", "size", "sha256", "sets"}
        needed |= {"debian": {"archive", "path"}, "maven": {"path"}}.get(kind, set())
        fields = self.fields(value, needed, set(), f"the artifact {_short(_name_in(value))}")
        name = self.text(fields["name"], _NAMES[kind], "a name")
        file = self.text(fields["file"], _FILE, f"the file of {name}")
        size = fields["size"]
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= _MAX_SIZE:
            _refuse(self._where, f"the size of {file} is {_short(size)}")
        if fields["store"] != store_name(file) or len(file) > _MAX_STORE:
            _refuse(self._where, f"the store name of {file} is {_short(fields['store'])}, not {store_name(file)}")
        path = self._path(fields["path"], file) if "path" in fields else None
        archive = fields.get("archive")
        if archive is not None and archive not in _ARCHIVES:
            _refuse(self._where, f"the archive of {file} is {_short(archive)}, not one of {', '.join(_ARCHIVES)}")
        return Artifact(
            name=name,
            version=self.text(fields["version"], _VERSION, f"the version of {name}"),
            file=file,
            store=fields["store"],
            size=size,
            sha256=self.text(fields["sha256"], _HEX, f"the sha256 of {file}"),
            sets=self._sets(fields["sets"], file),
            path=path,
            archive=archive,
        )

    def bootstrap(self, value: object, artifacts: tuple[Artifact, ...]) -> Bootstrap:
        fields = self.fields(value, {"store", "from", "member", "nar_sha256"}, set(), "the bootstrap")
        store = self.text(fields["store"], _FILE, "the store name of the bootstrap")
        member = self.text(fields["member"], _MEMBER, "the member of the bootstrap")
        if store != store_name(store) or any(store == artifact.store for artifact in artifacts):
            _refuse(self._where, f"the bootstrap's store name is {_short(store)}, which is not free for it")
        if ".." in member.split("/"):
            _refuse(self._where, f"the bootstrap's member is {_short(member)}")
        if fields["from"] not in [artifact.file for artifact in artifacts]:
            _refuse(self._where, f"the bootstrap is from {_short(fields['from'])}, which the lock does not hold")
        nar = self.text(fields["nar_sha256"], _HEX, "the nar_sha256 of the bootstrap")
        return Bootstrap(store, fields["from"], member, nar)

    def distinct_stores(self, artifacts: tuple[Artifact, ...]) -> None:
        seen: dict[str, str] = {}
        for artifact in artifacts:
            if seen.setdefault(artifact.store, artifact.file) is not artifact.file:
                _refuse(self._where, f"{seen[artifact.store]} and {artifact.file} would share a store name")

    def _path(self, value: object, file: str) -> str:
        if isinstance(value, str) and "://" in value:
            _refuse(self._where, f"the path of {file} is an address, {_short(value)}, and locks hold none")
        segments = value.split("/") if isinstance(value, str) else []
        sane = 1 < len(segments) <= 20 and segments[-1] == file and all(_FILE.fullmatch(item) for item in segments)  # noqa: PLR2004
        if not isinstance(value, str) or not sane:
            _refuse(self._where, f"the path of {file} is {_short(value)}, which is not a value it may have")
        return value

    def _sets(self, value: object, file: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            _refuse(self._where, f"{file} is in no set")
        sets = tuple(self.text(item, _SET, f"a set of {file}") for item in value)
        if list(sets) != sorted(set(sets)):
            _refuse(self._where, f"the sets of {file} are not sorted, or one is there twice")
        return sets


def _name_in(value: object) -> object:
    return value.get("name", "without a name") if isinstance(value, dict) else value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004
