"""How a folder becomes a layer: on small trees, with the real tools in their own root."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path

import pytest

pytestmark = pytest.mark.image
SCRIPT = Path(__file__).parents[2] / "images/nix/pack.py"
HOSTILE = [b"plain", b"two words", b"line\nbreak", b"-dash", b"--checkpoint=1", b"*", b"\xff\xfe", "ü".encode(), b"a\\b",
           b"'quoted'", b"@file", b"UPPER", b"\x01", b" ", b"x" * 255]  # fmt: skip


class Pack:
    """A folder that stands for /build, with the tree in `root`."""

    def __init__(self, folder: Path, in_tools) -> None:
        self.folder, self.root, self.in_tools = folder, folder / "root", in_tools
        self.root.mkdir(parents=True)
        shutil.copy(SCRIPT, folder / "pack.py")

    def write(self, name: str | bytes, content: bytes = b"", mode: int = 0o644) -> Path:
        path = self.root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.in_tools(self.folder, "python3", "/build/pack.py", *arguments)

    def remember(self) -> None:
        done = self.run("list", "/build/root", "/build/before")
        assert done.returncode == 0, done.stderr

    def pack(self, *listing: str) -> dict:
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        done = self.run("pack", "/build/root", "/build/out", *listing)
        assert done.returncode == 0, done.stderr
        return json.loads((self.folder / "out/layer.json").read_text())

    def members(self) -> list[tarfile.TarInfo]:
        tar = self.folder / "tar"
        subprocess.run(["zstd", "-qdf", self.folder / "out/blob.tar.zst", "-o", tar], check=True)
        with tarfile.open(tar, errors="surrogateescape") as archive:
            return archive.getmembers()


@pytest.fixture
def make(tmp_path, in_tools):
    """Makes folders to pack, each with a name of its own."""
    return lambda name="build": Pack(tmp_path / name, in_tools)


def test_the_description_is_true(make):
    """Digest, diffId and size are those of the blob and of what it decompresses to."""
    build = make()
    build.write("a/b", b"content")
    layer = build.pack()
    blob = (build.folder / "out/blob.tar.zst").read_bytes()
    build.members()
    assert layer == {
        "name": "tried",
        "digest": "sha256:" + hashlib.sha256(blob).hexdigest(),
        "diffId": "sha256:" + hashlib.sha256((build.folder / "tar").read_bytes()).hexdigest(),
        "size": len(blob),
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_and_moment_of_creation_do_not_matter(make, seed):
    """The same files, written in another order at other times, give the same bytes; another byte gives others."""
    names = [f"d{n % 7}/{n}" for n in range(60)]
    digests = []
    for shuffled in (names, sorted(names, key=lambda name: zlib.crc32(f"{seed} {name}".encode()))):
        build = make(f"build{len(digests)}")
        for name in shuffled:
            path = build.write(name, name.encode())
            os.utime(path, (seed * len(digests), seed * len(digests)))
        digests.append(build.pack()["digest"])
    assert digests[0] == digests[1]
    build.write("d0/0", b"1")
    assert build.pack()["digest"] != digests[0]


def test_hostile_names_are_packed_as_they_are(make):
    """New lines, leading dashes, bytes that are no text: every name comes out as it went in, sorted as bytes."""
    build = make()
    for name in HOSTILE:
        build.write(name, name)
        build.write(b"folder " + name[:200] + b"/" + name, name)
    build.pack()
    members = [os.fsencode(m.name) for m in build.members()]
    assert members == sorted(members)
    assert {m.rpartition(b"/")[2] for m in members} >= set(HOSTILE)
    assert len(members) == 3 * len(HOSTILE)


def test_links_modes_owners_and_one_time(make):
    """Symbolic links are not followed, hard links stay links, owners come from fakeroot, times are all one."""
    build = make()
    build.write("file", b"x", 0o755)
    build.write("setuid", b"x")
    (build.root / "soft").symlink_to("/etc/passwd")
    (build.root / "gone").symlink_to("nowhere")
    os.link(build.root / "file", build.root / "hard")
    script = "chown 0:42 /build/root/file && chmod 4755 /build/root/setuid && python3 /build/pack.py pack /build/root /build/out"
    done = build.in_tools(build.folder, "sh", "-c", f"FAKEROOTDONTTRYCHOWN=1 fakeroot-sysv sh -euc '{script}'")
    assert done.returncode == 0, done.stderr
    by_name = {m.name: m for m in build.members()}
    assert (by_name["./file"].uid, by_name["./file"].gid) == (0, 42)
    assert by_name["./setuid"].mode == 0o4755
    assert (by_name["./soft"].linkname, by_name["./gone"].linkname) == ("/etc/passwd", "nowhere")
    assert by_name["./hard"].islnk()
    assert {m.mtime for m in by_name.values()} == {1735689600}
    assert not [name for m in by_name.values() for name in m.pax_headers if "time" in name]


def test_only_what_changed_is_packed_with_the_folders_above(make):
    """New, edited, replaced, newly restricted: in. Untouched: out. The next layer must not carry it again."""
    build = make()
    for name in ("same/file", "deep/er/edited", "mode", "kind"):
        build.write(name, b"one")
    build.remember()
    build.write("deep/er/edited", b"two")
    build.write("new/file", b"one")
    (build.root / "mode").chmod(0o600)
    (build.root / "kind").unlink()
    (build.root / "kind").symlink_to("mode")
    build.pack("/build/before")
    assert [m.name for m in build.members()] == [
        "./deep", "./deep/er", "./deep/er/edited", "./kind", "./mode", "./new", "./new/file"
    ]  # fmt: skip


def test_a_deleted_file_is_refused(make):
    """Overlays and archives say "deleted" in different ways, so a layer only adds; the message names the file."""
    build = make()
    build.write("kept")
    build.write("dropped/file")
    build.remember()
    (build.root / "dropped/file").unlink()
    done = build.run("pack", "/build/root", "/build/out", "/build/before")
    assert done.returncode != 0
    assert "dropped/file" in done.stderr
    assert "kept" not in done.stderr
    assert not (build.folder / "out").exists()


def test_a_full_disk_fails_the_build(make):
    """When the compressed file cannot be written, the packing does not end well."""
    build = make()
    build.write("big", os.urandom(3 << 20))
    script = "mkdir /tmp/w && ulimit -f 100 && python3 /build/pack.py pack /build/root /build/out"
    done = build.in_tools(build.folder, "bash", "-c", script)
    assert done.returncode != 0
    assert not (build.folder / "out/layer.json").exists()
