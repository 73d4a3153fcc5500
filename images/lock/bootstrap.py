"""The hash under which Nix keeps the bootstrap: a folder that holds one executable, both called the same.

A folder, because busybox looks at the name it was started by, and a store path's own name begins with a hash.
Standard library only, Python 3.9 or newer: the fetcher checks what it adds with this.
"""

from __future__ import annotations

import hashlib


def nar_sha256(name: str, content: bytes) -> str:
    """Sha256 (hex) of the NAR of a folder holding exactly one executable file `name` with this content."""
    file = [b"(", b"type", b"regular", b"executable", b"", b"contents", content, b")"]
    entry = [b"entry", b"(", b"name", name.encode("ascii"), b"node", *file, b")"]
    digest = hashlib.sha256()
    for word in [b"nix-archive-1", b"(", b"type", b"directory", *entry, b")"]:
        digest.update(len(word).to_bytes(8, "little") + word + b"\0" * (-len(word) % 8))
    return digest.hexdigest()
