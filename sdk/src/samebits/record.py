r"""The record of one run: its fields, its JSON, and what is refused when reading one (docs/record.md).

The JSON is canonical: keys sorted, no spaces, ASCII only, one line feed at the end. Bytes that are not UTF-8
(in arguments, paths, variables) are held as Python's surrogate escapes and written as `\udcXX`, so they
survive exactly.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from samebits.errors import RecordError

VERSION = 1
ARTIFACT = "samebits/record.json"
PACK_ARTIFACT = "samebits/code.pack"
MAX_BYTES = 4 * 1024 * 1024
HEX_SHA256 = 64
SNAPSHOT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Run:
    """Which run of which process: `session` is one start of a command, `ordinal` counts its runs from 1."""

    session: str
    ordinal: int
    status: str
    rerun_of: str | None


@dataclass(frozen=True)
class Snapshot:
    """The content of a dirty tree: `commit` on top of the head, in the artifact `samebits/code.pack`.

    `sha256` and `size` in bytes are the pack's; `files` counts what was added or changed.
    """

    commit: str
    sha256: str
    size: int
    files: int


@dataclass(frozen=True)
class Code:
    """`commit` is an id, `dirty` or `none`; `head` is what a dirty tree differs from in `changed`."""

    commit: str
    head: str | None
    reason: str | None
    read_at: str
    repository: list[str]
    changed: list[str]
    changed_total: int
    store_files: list[str]
    snapshot: Snapshot | None = None

    @property
    def executable(self) -> str:
        """The commit that a rerun executes: the recorded one, or a dirty tree's snapshot; else `dirty` or `none`."""
        return self.snapshot.commit if self.snapshot else self.commit


@dataclass(frozen=True)
class Entry:
    """What was started: `typed` is the command given to `samebits exec`, `python` the interpreter's view."""

    kind: str
    name: str
    typed: list[str] | None
    python: list[str]
    arguments: list[str]
    cwd: str | None


@dataclass(frozen=True)
class Variable:
    """One allow-listed environment variable and who set it: `user` (inherited) or `samebits`."""

    value: str
    by: str


@dataclass(frozen=True)
class Seed:
    """`value` as asked for, by `exec` or `autolog`; `applied` says which generators were seeded, and when."""

    value: int | None
    by: str | None
    hash_seed: str
    applied: dict[str, str]


@dataclass(frozen=True)
class Dataset:
    """A file or folder the run read; `path` is relative to the repository where `in_repository`."""

    name: str
    path: str
    in_repository: bool
    kind: str
    sha256: str
    size: int
    files: int


@dataclass(frozen=True)
class ClosureUsed:
    """The environment: kind `image` with both ids, or `none` with the reason."""

    kind: str
    reason: str | None
    name: str | None = None
    system: str | None = None
    root: str | None = None
    closure_id: str | None = None
    content_id: str | None = None
    image: str | None = None
    flake: str | None = None


@dataclass(frozen=True)
class Modules:
    """Loaded modules: how many from the repository, and which from neither it nor an installed package."""

    repository: int
    outside: list[str]


@dataclass(frozen=True)
class Record:
    """Everything recorded of one run, and, as plainly, what was not."""

    run: Run
    code: Code
    entry: Entry
    environment: dict[str, Variable]
    seed: Seed
    datasets: list[Dataset]
    closure: ClosureUsed
    numerics: dict[str, str]
    modules: Modules
    python: str
    samebits: str
    not_recorded: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    version: int = VERSION


def canonical(data: Any) -> bytes:
    """Canonical JSON of plain data: equal data, equal bytes. NaN and infinities are refused."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.encode() + b"\n"


def to_bytes(record: Record) -> bytes:
    """The record as canonical JSON."""
    return canonical(dataclasses.asdict(record))


def from_bytes(data: bytes) -> Record:
    """Read a record; RecordError for anything but a well-formed record of this version, naming the field."""
    if len(data) > MAX_BYTES:
        raise too_large(len(data))
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            "The run's samebits/record.json is not JSON, so nothing in it can be trusted; the run "
            "cannot be repeated from it. Repeat it by hand under `samebits exec`."
        ) from error
    if isinstance(parsed, dict):
        _check_version(parsed.get("version"))
    try:
        record: Record = _decode(Record, parsed, "record")
        _check_values(record)
    except RecursionError as error:
        raise _malformed("record", "nested too deeply") from error
    return record


def too_large(size: int) -> RecordError:
    """The refusal of a record above the cap, usable before it is downloaded."""
    return RecordError(
        f"The run's samebits/record.json has {size} bytes; records end at {MAX_BYTES}. It was not "
        "written by samebits and is not read."
    )


def _check_version(version: Any) -> None:
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise RecordError(
            f"The record has version {version}; this samebits reads up to {VERSION}. Enter the "
            "workspace the run was made in, or update samebits, and try again."
        )


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_fields(kind, value, where)
    if origin is types.UnionType:
        return None if value is None else _decode(arguments[0], value, where)
    if origin is list and isinstance(value, list):
        return [_decode(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if type(value) is kind:
        return value
    raise _malformed(where, f"expected {getattr(kind, '__name__', kind)}, found {type(value).__name__}")


def _decode_fields(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _malformed(where, f"expected an object, found {type(value).__name__}")
    hints = typing.get_type_hints(kind)
    if odd := sorted(set(value) ^ set(hints)):
        raise _malformed(f"{where}.{odd[0]}", "missing" if odd[0] in hints else "not a field of this version")
    return kind(**{name: _decode(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})


def _check_values(record: Record) -> None:
    commit = record.code.commit
    if commit not in {"dirty", "none"} and not _is_hex(commit, (40, 64)):
        raise _malformed("record.code.commit", "neither a commit id nor dirty nor none")
    if record.code.head is not None and not _is_hex(record.code.head, (40, 64)):
        raise _malformed("record.code.head", "not a commit id")
    _check_snapshot(record.code)
    _check_closure(record.closure)
    if record.entry.cwd is not None and not is_inside(record.entry.cwd):
        raise _malformed("record.entry.cwd", "climbs out of the repository")
    words = [*(record.entry.typed or []), *record.entry.python, *record.entry.arguments]
    words += [*record.environment, *(variable.value for variable in record.environment.values())]
    if any("\0" in word for word in words):
        raise _malformed("record.entry", "a NUL byte, which no command can carry")
    for index, dataset in enumerate(record.datasets):
        if not _is_hex(dataset.sha256, (HEX_SHA256,)):
            raise _malformed(f"record.datasets[{index}].sha256", "not a sha256")
        if "\0" in dataset.path or (dataset.in_repository and not is_inside(dataset.path)):
            raise _malformed(f"record.datasets[{index}].path", "climbs out of the repository")


def _check_snapshot(code: Code) -> None:
    snapshot = code.snapshot
    if snapshot is None:
        return
    if code.commit != "dirty" or code.head is None:
        raise _malformed("record.code.snapshot", "there, although the tree was not dirty")
    if not _is_hex(snapshot.commit, (40, 64)):
        raise _malformed("record.code.snapshot.commit", "not a commit id")
    if not _is_hex(snapshot.sha256, (HEX_SHA256,)):
        raise _malformed("record.code.snapshot.sha256", "not a sha256")
    if not 0 < snapshot.size <= SNAPSHOT_BYTES:
        raise _malformed("record.code.snapshot.size", f"not between 1 and {SNAPSHOT_BYTES} bytes")


def _check_closure(closure: ClosureUsed) -> None:
    if closure.kind not in {"image", "none"}:
        raise _malformed("record.closure.kind", "neither image nor none")
    for name in ("closure_id", "content_id"):
        value = getattr(closure, name)
        is_id = value is not None and value.startswith("sha256:") and _is_hex(value[7:], (HEX_SHA256,))
        if is_id != (closure.kind == "image"):
            raise _malformed(f"record.closure.{name}", "not as its kind demands")


def is_inside(path: str) -> bool:
    """Whether a relative path stays below where it starts, read as text, and outside of `.git`."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and ".git" not in pure.parts and "\0" not in path


def _is_hex(text: str, lengths: tuple[int, ...]) -> bool:
    return len(text) in lengths and all(character in "0123456789abcdef" for character in text)


def _malformed(where: str, what: str) -> RecordError:
    return RecordError(
        f"The run's record is malformed at {where}: {what}. It was not written by samebits, or was "
        "edited; nothing is executed from it. Repeat the run by hand under `samebits exec`."
    )
