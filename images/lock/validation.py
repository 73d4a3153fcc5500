"""Every rule that the text of a lock has to keep.

A lock is checked completely when it is read, because what it says ends up in file names, URLs and store
paths: every string is matched against the alphabet it may use, so that no path traversal, newline or
address can hide in one.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from images.errors import LockInvalidError
from images.lock.entries import KINDS, VERSION, Artifact, Bootstrap, Lock, store_name

_MAX_SIZE = 1 << 40
_MAX_DEPTH = 20
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


def parse(text: str, where: str) -> Lock:
    """Turn the text of a lock into a Lock; `where` is what messages call it. Raises LockInvalidError."""
    try:
        data = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, where))
    except (ValueError, RecursionError) as error:
        refuse(where, f"it is not JSON ({error})")
    check = _Checker(where)
    fields = check.fields(data, {"version", "kind", "intent", "artifacts"}, {"bootstrap"}, "the lock")
    if fields["version"] != VERSION or isinstance(fields["version"], bool):
        refuse(where, f"its format version is {fields['version']!r}, and this checkout reads {VERSION}")
    kind = fields["kind"]
    if kind not in KINDS:
        refuse(where, f"its kind is {kind!r}, not one of {', '.join(KINDS)}")
    intent = check.text(fields["intent"], _HEX, "intent")
    if not isinstance(fields["artifacts"], list):
        refuse(where, "its artifacts are not a list")
    artifacts = tuple(check.artifact(kind, item) for item in fields["artifacts"])
    for before, after in zip(artifacts, artifacts[1:]):  # noqa: B905, RUF007  Python 3.9 has neither alternative
        if before.key == after.key:
            refuse(where, f"{after.file} is in it twice")
        if before.key > after.key:
            refuse(where, f"it is not sorted: {after.name} {after.version} comes after {before.name}")
    check.distinct_stores(artifacts)
    bootstrap = None
    if "bootstrap" in fields:
        if kind != "debian":
            refuse(where, "only a debian lock has a bootstrap")
        bootstrap = check.bootstrap(fields["bootstrap"], artifacts)
    return Lock(kind, intent, artifacts, bootstrap)


def _object(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        refuse(where, "an object in it names the same key twice")
    return found


def refuse(where: str, why: str) -> NoReturn:
    """Refuse the lock called `where`, saying why and what to do. Raises LockInvalidError."""
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
            refuse(self._where, f"{what} is not an object")
        missing, unknown = needed - set(value), set(value) - needed - allowed
        if missing or unknown:
            complaint = f"lacks {sorted(missing)}" if missing else f"has unknown fields {_short(sorted(unknown))}"
            refuse(self._where, f"{what} {complaint}")
        return value

    def text(self, value: object, pattern: re.Pattern[str], what: str) -> str:
        if isinstance(value, str) and "://" in value:
            refuse(self._where, f"{what} holds an address, {_short(value)}, and locks hold none")
        if not isinstance(value, str) or not pattern.fullmatch(value):
            refuse(self._where, f"{what} is {_short(value)}, which is not a value it may have")
        return value

    def artifact(self, kind: str, value: object) -> Artifact:
        needed = {"name", "version", "file", "store", "size", "sha256", "sets"}
        needed |= {"debian": {"archive", "path"}, "maven": {"path"}}.get(kind, set())
        fields = self.fields(value, needed, set(), f"the artifact {_short(_name_in(value))}")
        name = self.text(fields["name"], _NAMES[kind], "a name")
        file = self.text(fields["file"], _FILE, f"the file of {name}")
        size = fields["size"]
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= _MAX_SIZE:
            refuse(self._where, f"the size of {file} is {_short(size)}")
        if fields["store"] != store_name(file) or len(file) > _MAX_STORE:
            refuse(self._where, f"the store name of {file} is {_short(fields['store'])}, not {store_name(file)}")
        path = self._path(fields["path"], file) if "path" in fields else None
        archive = fields.get("archive")
        if archive is not None and archive not in _ARCHIVES:
            refuse(self._where, f"the archive of {file} is {_short(archive)}, not one of {', '.join(_ARCHIVES)}")
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
            refuse(self._where, f"the bootstrap's store name is {_short(store)}, which is not free for it")
        if ".." in member.split("/"):
            refuse(self._where, f"the bootstrap's member is {_short(member)}")
        if fields["from"] not in [artifact.file for artifact in artifacts]:
            refuse(self._where, f"the bootstrap is from {_short(fields['from'])}, which the lock does not hold")
        nar = self.text(fields["nar_sha256"], _HEX, "the nar_sha256 of the bootstrap")
        return Bootstrap(store, fields["from"], member, nar)

    def distinct_stores(self, artifacts: tuple[Artifact, ...]) -> None:
        seen: dict[str, str] = {}
        for artifact in artifacts:
            if artifact.store in seen:
                refuse(self._where, f"{seen[artifact.store]} and {artifact.file} would share a store name")
            seen[artifact.store] = artifact.file

    def _path(self, value: object, file: str) -> str:
        if isinstance(value, str) and "://" in value:
            refuse(self._where, f"the path of {file} is an address, {_short(value)}, and locks hold none")
        segments = value.split("/") if isinstance(value, str) else []
        fitting = 1 < len(segments) <= _MAX_DEPTH and all(_FILE.fullmatch(item) for item in segments)
        if not isinstance(value, str) or not fitting or segments[-1] != file:
            refuse(self._where, f"the path of {file} is {_short(value)}, which is not a value it may have")
        return value

    def _sets(self, value: object, file: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not value:
            refuse(self._where, f"{file} is in no set")
        sets = tuple(self.text(item, _SET, f"a set of {file}") for item in value)
        if list(sets) != sorted(set(sets)):
            refuse(self._where, f"the sets of {file} are not sorted, or one is there twice")
        return sets


def _name_in(value: object) -> object:
    return value.get("name", "without a name") if isinstance(value, dict) else value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004
