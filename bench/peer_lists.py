"""What the peer script installs, as plain lists, so that it gets exactly what the image gets.

`python3 -m bench.peer_lists FOLDER` writes sources.list, packages.txt, requirements.txt and jars.txt there.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from images.lock import lockfile
from images.mirrors import aptsources

LOCKS = Path(__file__).resolve().parent.parent / "images" / "lock"
SETS = ("base", "workspace")
PYTHON_SETS = {"mlflow", "workspace"}


def debian_sources(intent: dict[str, dict[str, list[str]]]) -> list[str]:
    """Give an apt line for each suite of the intent, on the mirrors that this machine's apt knows."""
    mirrors = aptsources.archives()
    lacking = [archive for archive in intent["archives"] if not mirrors[archive]]
    if lacking:
        sys.exit(f"apt's sources on this machine name no mirror of {', '.join(lacking)}: add one to compare.")
    return [
        f"deb {mirrors[archive][0]} {suite} main" for archive, suites in intent["archives"].items() for suite in suites
    ]


def debian_packages(intent: dict[str, dict[str, dict[str, list[str]]]]) -> list[str]:
    """Name the packages to ask for; apt-patterns are left out: mmdebstrap's variant stands for them."""
    wanted = [name for kind in SETS for name in intent["sets"][kind]["packages"]]
    return [name for name in wanted if not name.startswith("?")]


def requirements(lock: lockfile.Lock) -> list[str]:
    """Pin the Python packages of the workspace to their locked versions."""
    return [f"{each.name}=={each.version}" for each in lock.artifacts if PYTHON_SETS & set(each.sets)]


def jars(lock: lockfile.Lock) -> list[str]:
    """List Maven coordinates and file names of the jars beside pyspark's own."""
    return [f"{each.name}:{each.version} {each.file}" for each in lock.artifacts]


def main(folder: Path) -> None:
    """Write the lists."""
    intent = tomllib.loads((LOCKS / "debian.toml").read_text())
    lists = {
        "sources.list": debian_sources(intent),
        "packages.txt": debian_packages(intent),
        "requirements.txt": requirements(lockfile.load(LOCKS / "python.lock.json")),
        "jars.txt": jars(lockfile.load(LOCKS / "maven.lock.json")),
    }
    for name, lines in lists.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
