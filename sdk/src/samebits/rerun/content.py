"""A file's content twice: as it is, and without the few things that differ between any two runs (EXCLUSIONS).

Only what is known to name the run or its place is left out, format by format; every other byte counts. Pickles
are read as a list of operations and never loaded, so looking at one executes nothing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import mmap
import pickletools
import re
import zipfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from samebits.datasets import hash_file
from samebits.rerun.worktree import homeward

if TYPE_CHECKING:
    from pathlib import Path

VOLATILE_MODEL_KEYS = ("artifact_path", "model_id", "model_uuid", "run_id", "utc_time_created")
# How long scikit-learn's searches took: columns of the table, and metrics of the runs, that MLflow makes of them.
SEARCH_TIMES = ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time")
EXCLUSIONS = [
    f"file MLmodel: the top-level keys {', '.join(VOLATILE_MODEL_KEYS)}, which name the run and its time",
    f"file cv_results.csv: the columns {', '.join(SEARCH_TIMES)}",
    "file estimator.html: as a whole where it shows refit_time_, that is, a search and how long it took",
    "files: a worktree's path counts as the repository's",
    "pickles: the random ids that cloudpickle gives to classes of the main program",
    "torch archives: the member .data/serialization_id, a hash over the other members",
]
_VOLATILE_LINE = re.compile(f"(?:{'|'.join(VOLATILE_MODEL_KEYS)}):".encode())
_RANDOM_ID = re.compile(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}")
_BY_VALUE = (b"_make_skeleton_class", b"_make_skeleton_enum")
_TEXT = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
_UNREADABLE = (OSError, ValueError, IndexError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError)


@dataclass(frozen=True)
class Content:
    """`sha256` and `size` of a file as it is, and `stable`, a digest without what EXCLUSIONS lists."""

    sha256: str
    size: int
    stable: str


def measure(path: Path, root: str) -> Content:
    """Both digests of a file; `stable` is the sha256 itself where nothing needs to be left out."""
    sha256, size = hash_file(str(path))
    return Content(sha256, size, (_stable(path, root) if size else None) or sha256)


def _stable(path: Path, root: str) -> str | None:
    named = NAMED.get(path.name)
    if named and (kept := named(path.read_bytes())) is not None:
        return hashlib.sha256(_home(kept, root)).hexdigest()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"PK\x03\x04" and (digest := _archive_digest(path, root)):
            return digest
        at_home = data.find(root.encode(errors="surrogateescape")) < 0
        if at_home and all(data.find(mark) < 0 for mark in _BY_VALUE):
            return None  # nothing to leave out, so nothing to read closely
        if data[:1] == b"\x80" and (digest := _pickle_digest(data[:], root)):
            return digest
        return None if at_home else hashlib.sha256(_home(data[:], root)).hexdigest()


def _home(data: bytes, root: str) -> bytes:
    place = root.encode(errors="surrogateescape").decode("latin-1")  # where any byte is a character
    return homeward(data.decode("latin-1"), place).encode("latin-1")


def stable_model(data: bytes) -> bytes:
    """An MLmodel without its volatile top-level keys and their continuation lines; every other byte stays."""
    kept: list[bytes] = []
    dropping = False
    for line in data.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            dropping = bool(_VOLATILE_LINE.match(line))
        if not dropping:
            kept.append(line)
    return b"".join(kept)


def timeless_table(data: bytes) -> bytes | None:
    """The cells of a search's table without the measured times; None where the file is no such table."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    except (ValueError, csv.Error):
        return None
    if not rows or len({len(row) for row in rows}) != 1:
        return None
    kept = [index for index, title in enumerate(rows[0]) if title not in SEARCH_TIMES]
    return repr([[row[index] for index in kept] for row in rows]).encode()


def timeless_picture(data: bytes) -> bytes | None:
    """Nothing of the picture of a search, which prints its times all over; None for any other estimator's."""
    return b"search" if b"refit_time_" in data else None


NAMED = {"MLmodel": stable_model, "cv_results.csv": timeless_table, "estimator.html": timeless_picture}


def _archive_digest(path: Path, root: str) -> str | None:
    """Names and contents of the members of what torch.save writes; None for any other zip file."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(path) as archive:
            names = [(name, name.partition("/")[2]) for name in archive.namelist()]
            if "data.pkl" not in {inner for _, inner in names}:
                return None
            for name, inner in names:
                if inner == ".data/serialization_id":
                    continue
                one = _pickle_digest(archive.read(name), root) if inner == "data.pkl" else None
                if one is None:
                    with archive.open(name) as member:
                        one = _hash(member)
                digest.update(f"{one} {inner}\n".encode(errors="surrogateescape"))
    except _UNREADABLE:
        return None
    return digest.hexdigest()


def _hash(member: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := member.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _pickle_digest(data: bytes, root: str) -> str | None:
    """The operations of a pickle with paths brought home and random class ids blanked; None if it is none."""
    by_value = any(mark in data for mark in _BY_VALUE)
    digest = hashlib.sha256()
    end = 0
    try:
        for operation, argument, position in pickletools.genops(data):
            name, value = operation.name, argument
            end = position or 0
            if name == "FRAME":
                continue  # only says how long the next part is
            if name in _TEXT and isinstance(value, str):
                name, value = "TEXT", homeward(value, root)
                if by_value and _RANDOM_ID.fullmatch(value):
                    value = "random id"
            digest.update(f"{name} {value!r}\n".encode(errors="backslashreplace"))
    except _UNREADABLE:
        return None
    digest.update(data[end + 1 :])  # what follows the pickle's end counts as well
    return digest.hexdigest()
