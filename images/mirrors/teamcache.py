"""A team's own cache of pinned files: a folder or address of `sha256/<hex>` files, as Nix's hashed-mirrors.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from images.download import Place
from images.route import file_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from images.lock.lockfile import Artifact


class TeamCache:
    """The cache at `base`, an address without a final slash."""

    def __init__(self, base: str) -> None:
        self._base = base

    def __repr__(self) -> str:
        """Name it by its address."""
        return f"TeamCache({self._base!r})"

    def places(self, artifact: Artifact) -> Sequence[Place]:
        """Say where the file is if the cache has it."""
        return [Place(f"{self._base}/sha256/{artifact.sha256}")]

    def offers(self, artifact: Artifact) -> str:  # noqa: ARG002  a cache knows files by their hash only
        """Say nothing: a cache knows no versions."""
        return ""


def configured(environ: Mapping[str, str]) -> list[TeamCache]:
    """Give the cache that SAMEBITS_CACHE names (a folder or an address), if it does."""
    named = environ.get("SAMEBITS_CACHE", "").strip()
    if not named:
        return []
    return [TeamCache((named if "://" in named else file_url(Path(named).expanduser())).rstrip("/"))]
