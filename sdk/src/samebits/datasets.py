"""Datasets by their full content: every byte counts, names within a folder too, times and modes do not.

A file's digest is its sha256. A folder's is the sha256 of the lines `<sha256>  <path>` of its files, sorted
by path, which `sha256sum` reproduces. Symbolic links are followed; a link to nowhere or to a folder above
itself is an error.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from samebits.errors import DatasetError
from samebits.record import Dataset

MLFLOW_DIGEST_LENGTH = 36


def measure(path: str | os.PathLike[str], name: str | None, root: str | None) -> Dataset:
    """Hash the file or folder at `path`; DatasetError when it is missing or unreadable."""
    absolute = os.path.abspath(path)
    try:
        if os.path.isdir(absolute):
            kind, (sha256, size, files) = "folder", hash_folder(absolute)
        else:
            kind, files = "file", 1
            sha256, size = hash_file(absolute)
    except OSError as error:
        raise DatasetError(
            f"The dataset {absolute} cannot be read ({error.strerror}). Check the path, relative to "
            f"{Path.cwd()}, and its permissions."
        ) from error
    inside = root is not None and is_under(absolute, root)
    recorded = os.path.relpath(absolute, root) if inside and root is not None else absolute
    return Dataset(name or os.path.basename(absolute), recorded, inside, kind, sha256, size, files)


def hash_file(path: str) -> tuple[str, int]:
    """The sha256 (hex) and size in bytes of one file."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


def hash_folder(folder: str) -> tuple[str, int, int]:
    """The digest, total size in bytes and number of files of a folder."""
    digest = hashlib.sha256()
    total = 0
    names = list_files(folder)
    for name in names:
        sha256, size = hash_file(os.path.join(folder, name))
        digest.update(sha256.encode() + b"  " + os.fsencode(name) + b"\n")
        total += size
    return digest.hexdigest(), total, len(names)


def list_files(folder: str) -> list[str]:
    """All files below `folder`, relative to it, sorted by their bytes."""
    found: list[str] = []
    ancestors = {os.path.realpath(folder)}
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_fail):
        for child in folders:
            if os.path.islink(os.path.join(parent, child)):
                real = os.path.realpath(os.path.join(parent, child))
                if any(is_under(known, real) for known in ancestors) or is_under(os.path.realpath(parent), real):
                    raise DatasetError(
                        f"The dataset {folder} holds a link to a folder above itself: "
                        f"{os.path.join(parent, child)}. Remove the link or name a smaller folder."
                    )
        found += [os.path.relpath(os.path.join(parent, file), folder) for file in files]
    return sorted(found, key=os.fsencode)


def is_under(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or below it, read as text."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _fail(error: OSError) -> None:
    raise error
