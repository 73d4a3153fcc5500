"""newest.py FOLDER [SUITE]: unpacks the newest Nix and skopeo that Debian has into FOLDER, for tests that need them.

apt chooses and checks them, from the archive that this machine's own sources name; nothing is installed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from images.lock.apt import AptRoot, Suite
from images.mirrors.debian import bases

PACKAGES = ["nix-bin", "skopeo", "golang-github-containers-common", "git", "ca-certificates", "dash"]


def main() -> None:
    """Leaves a complete folder or none."""
    folder, suite = Path(sys.argv[1]), (sys.argv[2:] or ["sid"])[0]
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        root, debs = Path(temporary, "root"), Path(temporary, "debs")
        apt_root = Path(temporary, "apt")
        for path in (root, debs, apt_root):
            path.mkdir()
        base = bases(os.environ)["debian"][0]
        apt = AptRoot(apt_root, [Suite("debian", base, suite, ("main",))], "amd64")
        # A mirror may stand still; its signature still has to be right.
        sources = apt_root / "etc/sources.list"
        sources.write_text(sources.read_text().replace("[arch", "[check-valid-until=no arch"))
        apt.update()
        # Merged /usr first: the packages count on it.
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / "usr" / name).mkdir(parents=True)
            (root / name).symlink_to(f"usr/{name}")
        for deb in apt.solve(["--no-install-recommends", *PACKAGES]):
            path = apt.download(deb, debs)
            data = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", path], stdout=subprocess.PIPE)
            subprocess.run(
                ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", root], stdin=data.stdout, check=True
            )
            if data.wait():
                sys.exit(f"{path.name} cannot be unpacked")
            path.unlink()
        for name in ("proc", "dev", "tmp", "nix", "root"):
            (root / name).mkdir(exist_ok=True)
        (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        (root / "etc/group").write_text("root:x:0:\n")
        root.rename(folder)


if __name__ == "__main__":
    main()
