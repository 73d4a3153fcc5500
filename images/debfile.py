"""Reading single files out of a .deb: an `ar` archive that holds `data.tar.xz` (or .gz, or none).

Standard library only, Python 3.9 or newer: neither dpkg nor ar need be there.
"""

from __future__ import annotations

import posixpath
import tarfile
from typing import IO, TYPE_CHECKING, cast

from images.errors import CorruptError

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"!<arch>\n"
_HEADER = 60
_LINKS = 10


def read_member(deb: Path, path: str) -> bytes:
    """Give the bytes of the file at `path` (a leading `./` may be there), links inside the package followed.

    Raises CorruptError when the file is no .deb, or has no such member.
    """
    for _ in range(_LINKS):
        content, path = _read(deb, _plain(path))
        if not path:
            return content
    raise CorruptError(f"{deb.name} holds links that lead nowhere")


def _read(deb: Path, path: str) -> tuple[bytes, str]:
    try:
        with deb.open("rb") as stream:
            _seek_data(stream)
            with tarfile.open(fileobj=stream, mode="r|*") as archive:
                return _search(archive, deb, path)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise CorruptError(f"{deb.name} cannot be read as a .deb ({error})") from error


def _search(archive: tarfile.TarFile, deb: Path, path: str) -> tuple[bytes, str]:
    # The archive is a stream, and what a link points to may lie before it: the caller looks anew.
    for member in archive:
        if _plain(member.name) != path:
            continue
        if member.isfile():
            return cast("IO[bytes]", archive.extractfile(member)).read(), ""
        if member.issym():
            return b"", posixpath.join("/", posixpath.dirname(path), member.linkname)
        if member.islnk():
            return b"", member.linkname
    raise CorruptError(f"{deb.name} lacks {path}")


def _plain(path: str) -> str:
    return posixpath.normpath("/" + path).lstrip("/")


def _seek_data(stream: IO[bytes]) -> None:
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it does not begin as an ar archive does")
    while True:
        header = stream.read(_HEADER)
        if len(header) < _HEADER:
            raise ValueError("it holds no data.tar")
        if header[:16].startswith(b"data.tar"):
            return
        size = int(header[48:58])
        stream.seek(size + size % 2, 1)
