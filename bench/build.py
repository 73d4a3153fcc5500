"""Building the workspace image: from a filled store, after an edit of the SDK, and with nothing to do.

The peer is bench/peer_build.sh, which makes the same content as people do it today; whatever changes, it
starts again. Both begin with everything downloaded.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from bench.timing import Row, seconds
from images import plan

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGE = "workspace-cpu"
PEER = "mmdebstrap + uv + tar + zstd"
NIX = ["nix", "--extra-experimental-features", "nix-command flakes"]
ROUNDS = 5


def measure(*, cold: bool = True) -> list[Row]:
    """Measure no-op, edit and (unless told otherwise) cold build against one run of the peer script.

    Needs root, for the peer; a built image, or the minutes to build it; and 15 GB under the temporary folder.
    """
    with tempfile.TemporaryDirectory(prefix="samebits-bench-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
        build(clone)
        peer = [peer_script(Path(folder) / "peer")]
        rows = []
        if cold:
            rows.append(
                Row(
                    "cold build from a filled store",
                    [cold_build(clone, Path(folder) / "store")],
                    PEER,
                    peer,
                    "≤ 1.2 x",
                    {"ratio": 1.2},
                )
            )
        noop = [seconds(lambda: build(clone)) for _ in range(ROUNDS)]
        rows.append(Row("no-op build", noop, PEER, peer, "≤ 1 s", {"seconds": 1.0}))
        edits = [edit(clone) for _ in range(ROUNDS)]
        rows.append(
            Row(
                "edit the SDK → pushable image",
                edits,
                PEER,
                peer,
                "≤ 5 s, ≤ 1/50",
                {"seconds": 5.0, "ratio": 1 / 50},
            )
        )
        noop = [seconds(lambda: build(clone)) for _ in range(ROUNDS)]
        rows.append(Row("no-op build of a dirty tree", noop, PEER, peer, "≤ 1 s", {"seconds": 1.0}))
    return rows


def build(clone: Path, *options: str) -> str:
    """Build the image and give its store path."""
    command = [*NIX, "build", f"{clone}#{IMAGE}", "--no-link", "--json", *options]
    built = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return str(json.loads(built)[0]["outputs"]["out"])


def edit(clone: Path) -> float:
    """Change one line of the SDK and give the seconds to an image that has it."""
    before = build(clone)
    module = clone / "sdk" / "src" / "samebits" / "__init__.py"
    with module.open("a") as source:
        source.write(f"# edited, {module.stat().st_size} bytes before\n")
    images: list[str] = []
    taken = seconds(lambda: images.append(build(clone)))
    if digest(images[0]) == digest(before):
        raise RuntimeError("editing the SDK changed no image: what was measured is no rebuild")
    return taken


def digest(image: str) -> str:
    """Give the digest of the OCI layout's one manifest, as a registry would know it."""
    index = json.loads((Path(image) / "index.json").read_text())
    return str(index["manifests"][0]["digest"])


def cold_build(clone: Path, store: Path) -> float:
    """Build in a store that holds the pinned files and nothing else; only the build is timed."""
    files = plan.make(clone / "images" / "lock", []).paths
    subprocess.run([*NIX, "copy", "--no-check-sigs", "--to", str(store), *files], check=True)
    try:
        return seconds(lambda: build(clone, "--store", str(store)))
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(store)], check=True)
        shutil.rmtree(store)


def peer_script(folder: Path) -> float:
    """Run the peer with its downloads in its cache and give its seconds."""
    subprocess.run([str(REPOSITORY / "bench" / "peer_build.sh"), "--fill", str(folder)], check=True)
    taken = json.loads((folder / "times.json").read_text())["total"]
    shutil.rmtree(folder)
    return float(taken)
