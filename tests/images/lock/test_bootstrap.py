import shutil
import subprocess

import pytest

from images.lock.bootstrap import nar_sha256


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 4096])
def test_the_hash_is_what_nix_says(tmp_path, size):
    """A folder with one executable has the same NAR hash here and in Nix, whatever padding its size needs."""
    if shutil.which("nix-hash") is None:
        pytest.skip("nix-hash is not on this machine")
    folder = tmp_path / "busybox"
    folder.mkdir()
    content = bytes(range(256)) * 16
    (folder / "busybox").write_bytes(content[:size])
    (folder / "busybox").chmod(0o755)
    done = subprocess.run(["nix-hash", "--type", "sha256", str(folder)], check=True, capture_output=True, text=True)
    assert nar_sha256("busybox", content[:size]) == done.stdout.strip()


def test_the_hash_depends_on_name_and_content():
    """Another name, or another byte, is another hash."""
    hashes = {nar_sha256(name, content) for name in ("a", "b") for content in (b"", b"\0")}
    assert len(hashes) == 4
