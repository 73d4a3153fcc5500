"""keystore.py FILE: rewrites a Java keystore of certificates so that its bytes depend on the certificates alone.

Debian's ca-certificates-java writes the moment of the build behind each certificate. The JKS format (see the source of
OpenJDK's sun.security.provider.JavaKeyStore): magic, version, count; each entry a tag, alias, milliseconds, type,
data; at the end a SHA-1 over the password in UTF-16, a fixed phrase and all before it.
"""

import hashlib
import struct
import sys
from pathlib import Path

HEADER = struct.Struct(">III")
MAGIC, VERSION, TRUSTED = 0xFEEDFEED, 2, 2
MILLISECONDS = 1735689600_000  # 1 January 2025, as every file of the image
PASSWORD = "changeit"  # noqa: S105 - Java's documented default; the certificates are public


def rewrite(data: bytes) -> bytes:
    """The same certificates, sorted by alias, all of one date."""
    magic, version, count = HEADER.unpack_from(data)
    if (magic, version) != (MAGIC, VERSION):
        sys.exit("this keystore is not in the JKS format, so its dates cannot be fixed: teach keystore.py the new one")
    position, entries = HEADER.size, []

    def take(length_format: str) -> bytes:
        nonlocal position
        start = position + struct.calcsize(length_format)
        (length,) = struct.unpack_from(length_format, data, position)
        position = start + length
        return data[start:position]

    for _ in range(count):
        (tag,) = struct.unpack_from(">I", data, position)
        if tag != TRUSTED:
            sys.exit("this keystore holds a private key; only trusted certificates belong in an image")
        position += 4
        alias = take(">H")
        position += 8
        entries.append((alias, take(">H"), take(">I")))
    body = HEADER.pack(MAGIC, VERSION, count)
    for alias, kind, certificate in sorted(entries):
        body += struct.pack(f">IH{len(alias)}sQ", TRUSTED, len(alias), alias, MILLISECONDS)
        body += struct.pack(f">H{len(kind)}sI", len(kind), kind, len(certificate)) + certificate
    return body + hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body).digest()  # noqa: S324


if __name__ == "__main__":
    keystore = Path(sys.argv[1])
    keystore.write_bytes(rewrite(keystore.read_bytes()))
