"""The folder where downloads grow: one fetch at a time uses it, and room is looked for first.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from images.errors import DiskFullError, FetchError
from images.progress import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from images.plan import Wanted

_BLOCK = 4096
_SMALL = 16 << 20  # a bare minimum beyond the files: the store's database, directories


def folder(environ: Mapping[str, str]) -> Path:
    """Say where partial downloads lie: below XDG_CACHE_HOME, or ~/.cache."""
    named = environ.get("XDG_CACHE_HOME", "")
    cache = Path(named) if named.startswith("/") else Path("~/.cache").expanduser()
    return cache / "samebits/partial"


@contextlib.contextmanager
def claimed(place: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the folder for this process alone; `waiting` is called if another has it. Raises FetchError."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        stream = (place / ".lock").open("a")
    except OSError as error:
        raise FetchError(
            f"{place} cannot be written ({error.strerror or error}). Partial downloads are kept there: make "
            "it writable, or point XDG_CACHE_HOME at another folder, and run the command again."
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            waiting()
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def require_room(place: Path, store: Path, wanted: Sequence[Wanted], jobs: int, waiting: int) -> None:
    """Refuse to begin when the files do not fit. Raises DiskFullError.

    The store takes every file; the partial folder holds the `jobs` largest and `waiting` bytes to be added.
    """
    sizes = sorted((item.artifact.size for item in wanted), reverse=True)
    in_store = sum(-(-size // _BLOCK) * _BLOCK for size in sizes) + _SMALL
    in_flight = min(sum(sizes), sum(sizes[:jobs]) + waiting)
    here = sum(_partial_size(place, item) for item in wanted)
    in_flight = max(0, in_flight - here)
    store, place = _existing(store), _existing(place)
    if store.stat().st_dev == place.stat().st_dev:
        _require(store, in_store + in_flight, "the Nix store and partial downloads")
        return
    _require(store, in_store, "the Nix store")
    _require(place, in_flight, "partial downloads (XDG_CACHE_HOME)")


def clean(place: Path) -> None:
    """Delete what earlier, interrupted fetches left: for when nothing is missing any more."""
    for path in place.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix == ".part":
            path.unlink()


def _partial_size(place: Path, item: Wanted) -> int:
    with contextlib.suppress(OSError):
        return (place / f"{item.artifact.sha256}.part").stat().st_size
    return 0


def _require(path: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(path).free
    if free < needed:
        raise DiskFullError(
            f"The files do not fit: {readable(needed)} are needed for {what} on the file system of {path}, "
            f"and {readable(free)} are available. Nothing was fetched. Make room, for example with "
            "`nix-collect-garbage`, and run the command again."
        )


def _existing(path: Path) -> Path:
    path = Path(os.path.abspath(path))  # noqa: PTH100  links stay as they are
    while not path.exists():
        path = path.parent
    return path
