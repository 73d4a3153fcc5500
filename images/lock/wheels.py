"""Which of a release's files is the one to install: the wheel that fits best, else the source distribution.

The order is that of PEP 425 as pip applies it: built for exactly this interpreter, then for its stable
ABI, then pure Python; among those, for the newest glibc that is not too new.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_OLDEST = 5
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_TARGET = re.compile(r"(?P<arch>[a-z0-9_]+)-manylinux_2_(?P<glibc>\d+)")
_SDIST = (".tar.gz", ".zip", ".tar.bz2", ".tgz")


@dataclass(frozen=True)
class Target:
    """What wheels are to run on: CPython 3.`minor`, glibc 2.`glibc`, an architecture as in wheel names."""

    minor: int
    glibc: int
    architecture: str

    @classmethod
    def parse(cls, python: str, platform: str) -> "Target | None":
        """Make the target of "3.13" and "x86_64-manylinux_2_40", say; None when they do not look so."""
        version, place = re.fullmatch(r"3\.(\d+)", python), _TARGET.fullmatch(platform)
        return cls(int(version[1]), int(place["glibc"]), place["arch"]) if version and place else None

    def tags(self) -> Iterator[str]:
        """Give the compatible tags, best first."""
        platforms = []
        for glibc in range(self.glibc, _OLDEST - 1, -1):
            platforms.append(f"manylinux_2_{glibc}_{self.architecture}")
            if glibc in _LEGACY:
                platforms.append(f"{_LEGACY[glibc]}_{self.architecture}")
        platforms.append(f"linux_{self.architecture}")
        own = f"cp3{self.minor}"
        for abi in (own, "abi3", "none"):
            yield from (f"{own}-{abi}-{platform}" for platform in platforms)
        for minor in range(self.minor - 1, 1, -1):
            yield from (f"cp3{minor}-abi3-{platform}" for platform in platforms)
        pure = [f"py3{self.minor}", "py3", *(f"py3{minor}" for minor in range(self.minor - 1, -1, -1))]
        for python in pure:
            yield from (f"{python}-none-{platform}" for platform in platforms)
        yield f"{own}-none-any"
        yield from (f"{python}-none-any" for python in pure)

    def best(self, files: Iterable[str]) -> str | None:
        """Give the best of `files` (names of one release's files), None when none can be used."""
        order = {tag: position for position, tag in enumerate(self.tags())}
        wheels = [(rank, file) for file in files if (rank := _rank(file, order)) is not None]
        if wheels:
            return min(wheels)[1]
        return min((file for file in files if file.endswith(_SDIST)), default=None)


def _rank(file: str, order: dict[str, int]) -> tuple[int, int] | None:
    parts = file.removesuffix(".whl").split("-")
    if not file.endswith(".whl") or len(parts) not in {5, 6}:
        return None
    pythons, abis, platforms = (part.split(".") for part in parts[-3:])
    tags = [f"{python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms]
    ranks = [order[tag] for tag in tags if tag in order]
    build = re.match(r"\d+", parts[2]) if len(parts) == 6 else None  # noqa: PLR2004  the optional build number
    return (min(ranks), -int(build[0]) if build else 0) if ranks else None
