"""The one executable that is needed before anything can be unpacked: taken out of a .deb, hashed as Nix would.

Standard library only, Python 3.9 or newer: the fetcher does the same on bare machines.
"""

from __future__ import annotations

import hashlib
import io
import tarfile

from images.errors import LockInvalidError

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


def extract(deb: bytes, member: str) -> bytes:
    """Give the content of the regular file `member` (as in "./usr/bin/busybox") in the data part of a .deb.

    Raises LockInvalidError when there is none, or when the data part is neither plain, gzip nor xz.
    """
    position = len(_AR_MAGIC) if deb.startswith(_AR_MAGIC) else len(deb)
    while position + _AR_HEADER <= len(deb):
        header = deb[position : position + _AR_HEADER]
        name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
        position += _AR_HEADER
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(deb[position : position + size])) as archive:
                found = archive.extractfile(member) if member in archive.getnames() else None
                if found is not None:
                    return found.read()
        position += size + size % 2
    raise LockInvalidError(
        f"The bootstrap's .deb holds no regular file {member}. Name where the executable is in images/lock/debian.toml "
        f"and run `python3 -m images.lock refresh debian`."
    )


def nar_sha256(content: bytes) -> str:
    """Sha256 (hex) of the NAR that Nix makes of one executable regular file with this content."""
    digest = hashlib.sha256()
    words = [b"nix-archive-1", b"(", b"type", b"regular", b"executable", b"", b"contents", content, b")"]
    for word in words:
        digest.update(len(word).to_bytes(8, "little") + word + b"\0" * (-len(word) % 8))
    return digest.hexdigest()
