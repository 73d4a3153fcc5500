"""`make quickstart` from nothing: an empty store, an empty cache, a fresh clone, this machine's real mirrors.

The peer is bench/peer_build.sh from nothing: the same content, fetched from the same mirrors, and there it ends;
ours also trains, trains again and compares. Needs root, to mount an empty /nix that only the measured command sees.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.fetch import scratch
from bench.timing import Row, seconds

REPOSITORY = Path(__file__).resolve().parent.parent
PEER = "mmdebstrap + uv + tar + zstd, downloads included, no training"
AIM = 8 * 60.0
IN_EMPTY_NIX = 'mount --bind "$1" /nix && shift && exec "$@"'


def measure() -> list[Row]:
    """Measure both once; 15 GB under the temporary folder, one after the other."""
    with scratch() as folder:
        ours = quickstart(folder)
    with scratch() as folder:
        theirs = from_nothing(folder)
    aim = f"≤ {AIM / 60:.0f} min"
    return [Row("make quickstart from nothing, to the verdict", [ours], PEER, [theirs], aim, {"seconds": AIM})]


def quickstart(folder: Path) -> float:
    """Time the command in a clone, with a /nix and a home folder that are empty."""
    clone, nix, home = folder / "samebits", folder / "nix", folder / "home"
    for path in (nix, home):
        path.mkdir()
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "SAMEBITS_"))}
    environ = kept | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "YES": "1"}
    command = ["unshare", "--mount", "sh", "-c", IN_EMPTY_NIX, "sh", str(nix), "make", "quickstart"]
    return seconds(lambda: subprocess.run(command, cwd=clone, env=environ, check=True, stdout=sys.stderr))


def from_nothing(folder: Path) -> float:
    """Time the peer, with its cache empty."""
    environ = os.environ | {"PEER_CACHE": str(folder / "cache")}
    script = str(REPOSITORY / "bench" / "peer_build.sh")
    subprocess.run([script, str(folder / "out")], env=environ, check=True, stdout=sys.stderr)
    return float(json.loads((folder / "out" / "times.json").read_text())["total"])
