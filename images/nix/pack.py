"""Packs a folder into a layer whose bytes depend on the files alone.

    pack.py list ROOT LISTING             remember what is there (before packages are added on top)
    pack.py pack ROOT OUT [LISTING]       write OUT/blob.tar.zst and OUT/layer.json; with LISTING, what changed since

Run it under fakeroot to get the owners that the packages asked for. One time stamp for every entry, entries sorted by
name as bytes, owners as numbers: nothing of the build's clock, machine or order remains.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MTIME = os.environ["SOURCE_DATE_EPOCH"]
CHUNK = 1 << 20


def entries(root: bytes) -> Iterator[tuple[bytes, tuple[int, ...]]]:
    """Each path below ``root``, relative, with what changes when the entry does."""
    stack = [b""]
    while stack:
        folder = stack.pop()
        for entry in os.scandir(os.path.join(root, folder)):
            path = os.path.join(folder, entry.name)
            status = os.lstat(entry.path)
            is_folder = entry.is_dir(follow_symlinks=False)
            change = (0, 0, 0) if is_folder else (status.st_size, status.st_mtime_ns, status.st_ino)
            yield path, (status.st_mode, status.st_uid, status.st_gid, *change)
            if is_folder:
                stack.append(path)


def changed(root: bytes, listing: Path) -> set[bytes]:
    """The paths that are new or different since ``listing``, with the folders above them."""
    before = {bytes.fromhex(path): tuple(state) for path, state in json.loads(listing.read_bytes())}
    now = dict(entries(root))
    gone = before.keys() - now.keys()
    if gone:
        # Overlay file systems and tar disagree on how to say "deleted"; our layers only ever add.
        sys.exit(f"a layer may not delete files of the one below, but these are gone: {sorted(gone)[:20]}")
    paths = {path for path, state in now.items() if before.get(path) != state}
    for path in list(paths):
        while path := os.path.dirname(path):
            paths.add(path)
    return paths


def pack(root: bytes, out: Path, paths: list[bytes]) -> None:
    """Writes the layer: tar | zstd, hashing both sides on the way."""
    names = Path("/build/paths")
    names.write_bytes(b"".join(b"./" + path + b"\0" for path in paths))
    out.mkdir()
    blob = out / "blob.tar.zst"
    tar = subprocess.Popen(
        [
            "tar",
            "--create",
            "--format=posix",
            "--pax-option=delete=atime,delete=ctime",
            "--numeric-owner",
            f"--mtime=@{MTIME}",
            "--no-recursion",
            "--null",
            "--verbatim-files-from",
            f"--files-from={names}",
        ],
        cwd=root,
        stdout=subprocess.PIPE,
    )
    zstd = subprocess.Popen(["zstd", "-q", "-3", "-T0", "-o", str(blob)], stdin=subprocess.PIPE)
    diff_id = hashlib.sha256()
    assert tar.stdout is not None
    assert zstd.stdin is not None
    while chunk := tar.stdout.read(CHUNK):
        diff_id.update(chunk)
        zstd.stdin.write(chunk)
    zstd.stdin.close()
    if tar.wait() or zstd.wait():
        sys.exit(f"packing failed: tar {tar.returncode}, zstd {zstd.returncode}")
    with blob.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    layer = {
        "name": os.environ["layer"],
        "digest": f"sha256:{digest.hexdigest()}",
        "diffId": f"sha256:{diff_id.hexdigest()}",
        "size": blob.stat().st_size,
    }
    (out / "layer.json").write_text(json.dumps(layer, indent=1, sort_keys=True) + "\n")


def main() -> None:
    """Runs the command line above."""
    command, root, target = sys.argv[1], os.fsencode(sys.argv[2]), Path(sys.argv[3])
    listing = [Path(path) for path in sys.argv[4:]]
    if command == "list":
        target.write_text(json.dumps([(path.hex(), state) for path, state in entries(root)]))
        return
    pack(root, target, sorted(changed(root, listing[0]) if listing else dict(entries(root))))


if __name__ == "__main__":
    main()
