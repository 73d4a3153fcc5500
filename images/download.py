"""One pinned file at a time: resumed, checked against the lock, tried again where that may help.

A file grows as `<sha256>.part` in the partial folder, from which a later run resumes. Only when size and sha256 are
the lock's is it given its store name, `<sha256>/<store name>`. Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import errno
import hashlib
import random
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Callable, Protocol, TypeVar
from urllib.parse import urlsplit

from images.connection import DIRECT, Answer, Client, Route, shown
from images.errors import (
    CorruptError,
    DiskFullError,
    FetchError,
    FetchStoppedError,
    GoneError,
    PassingError,
    RefusedError,
    TransferError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from images.lock.lockfile import Artifact
    from images.progress import Meter

_T = TypeVar("_T")
_CHUNK = 1 << 18
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LONGEST_WAIT = 60.0
_OUTAGE = 3


@dataclass(frozen=True)
class Place:
    """An address at which a file may be, and how to get there."""

    url: str
    route: Route = DIRECT


class Source(Protocol):
    """Something that may have pinned files: a mirror, an index, a team's cache."""

    def places(self, artifact: Artifact) -> Sequence[Place]:
        """Say where to read the file, best first, none if not here. Raises a TransferError."""

    def offers(self, artifact: Artifact) -> str:
        """Say in words what it has in the file's stead, "" when it cannot tell. Raises a TransferError."""


class Patience:
    """Meets passing errors with more tries: `tries` in a row without advance, waiting `wait` seconds, then doubling.

    An address's host that failed several files in a row gets one try a file, so that an outage ends soon.
    """

    def __init__(self, stop: threading.Event, tries: int = 5, wait: float = 0.5) -> None:
        self._stop = stop
        self._tries = tries
        self._wait = wait
        self._outages: dict[str, int] = {}

    def keep_trying(self, where: str, action: Callable[[], _T]) -> _T:
        """Give what `action` gives; `where` names the host. Raises FetchStoppedError, or what `action` raises last."""
        failed = 0
        while True:
            if self._stop.is_set():
                raise FetchStoppedError("the fetch was stopped")
            try:
                result = action()
            except PassingError as error:
                failed = 1 if error.advanced else failed + 1
                if failed >= self._tries or self._outages.get(where, 0) >= _OUTAGE:
                    self._outages[where] = self._outages.get(where, 0) + 1
                    raise
                backoff = self._wait * 2 ** (failed - 1) * random.uniform(0.75, 1.25)  # noqa: S311  spreads load
                self._stop.wait(min(max(backoff, error.wait), _LONGEST_WAIT))
            else:
                self._outages.pop(where, None)
                return result


class Downloader:
    """Brings files to `folder`; several threads may use one, each for another file."""

    def __init__(
        self, client: Client, folder: Path, meter: Meter, stop: threading.Event, patience: Patience
    ) -> None:
        self._client = client
        self._folder = folder
        self._meter = meter
        self._stop = stop
        self._patience = patience

    def download(self, artifact: Artifact, sources: Sequence[Source]) -> Path:
        """Bring the file from the first source that has it; give the path of the checked file.

        Raises GoneError if all sources say that they lack it, the TransferErrors' kind and words otherwise; and
        DiskFullError, FetchStoppedError, or FetchError when the folder cannot be written.
        """
        troubles: list[TransferError] = []
        for source in sources:
            try:
                places = self._patience.keep_trying(repr(source), lambda source=source: source.places(artifact))
            except TransferError as error:
                troubles.append(error)
                continue
            for place in places:
                try:
                    return self._from_place(artifact, place)
                except TransferError as error:
                    troubles.append(error)
        serious = [error for error in troubles if not isinstance(error, GoneError)]
        if serious:
            raise RefusedError("; ".join(dict.fromkeys(map(str, serious))))
        raise GoneError("; ".join(dict.fromkeys(map(str, troubles))))

    def _from_place(self, artifact: Artifact, place: Place) -> Path:
        part = self._folder / f"{artifact.sha256}.part"
        checked = self._folder / artifact.sha256 / artifact.store
        furthest = 0

        def attempt() -> None:
            nonlocal furthest
            before, furthest = furthest, max(furthest, self._attempt(artifact, place, part))
            if furthest < artifact.size:
                raise PassingError(
                    f"{shown(place.url)} broke off after {furthest} of {artifact.size} bytes", advanced=furthest > before
                )

        try:
            if checked.exists():  # an interrupted run had it complete: it is checked again like any partial file
                checked.replace(part)
            for last in (False, True):
                try:
                    self._patience.keep_trying(urlsplit(place.url).netloc, attempt)
                    break
                except CorruptError:
                    self._discard(artifact, part)
                    furthest = 0
                    if last:
                        raise
            checked.parent.mkdir(exist_ok=True)
            part.replace(checked)
        except OSError as error:
            if error.errno in _FULL:
                self._discard(artifact, part)
                raise DiskFullError(
                    f"The disk is full: {artifact.file} does not fit into {self._folder}. Make room there, or point "
                    f"XDG_CACHE_HOME at a larger disk, and run the command again: complete files are kept."
                ) from error
            raise FetchError(
                f"{self._folder} cannot be written ({error.strerror or error}). Partial downloads are kept there: make "
                f"it writable, or point XDG_CACHE_HOME at another folder, and run the command again."
            ) from error
        return checked

    def _attempt(self, artifact: Artifact, place: Place, part: Path) -> int:
        """Read on where the partial file ends; give how many bytes are there now. The last byte brings the check."""
        with part.open("a+b") as stream:
            digest, have = self._resume(artifact, stream)
            if have < artifact.size:
                answer = self._client.open(place.url, place.route, offset=have)
                try:
                    if answer.size not in (None, artifact.size):
                        raise CorruptError(
                            f"{shown(place.url)} has {answer.size} bytes where the lock pins {artifact.size}"
                        )
                    if answer.start != have:  # the server does not know Range: it sends all from the beginning
                        stream.truncate(0)
                        digest, have = hashlib.sha256(), 0
                    have = self._copy(artifact, place, answer, stream, digest, have)
                finally:
                    answer.close()
        if have == artifact.size and digest.hexdigest() != artifact.sha256:
            raise CorruptError(
                f"{shown(place.url)} gave a file with the sha256 {digest.hexdigest()} where the lock pins "
                f"{artifact.sha256}"
            )
        return have

    def _resume(self, artifact: Artifact, stream: IO[bytes]) -> tuple[hashlib._Hash, int]:
        digest, have = hashlib.sha256(), 0
        stream.seek(0)
        while have <= artifact.size:
            chunk = stream.read(_CHUNK)
            if not chunk:
                self._meter.reached(artifact.sha256, have)
                return digest, have
            digest.update(chunk)
            have += len(chunk)
        stream.truncate(0)
        return hashlib.sha256(), 0

    def _copy(
        self, artifact: Artifact, place: Place, answer: Answer, stream: IO[bytes], digest: hashlib._Hash, have: int
    ) -> int:
        buffer = memoryview(bytearray(_CHUNK))
        while True:
            if self._stop.is_set():
                raise FetchStoppedError("the fetch was stopped")
            try:
                count = answer.readinto(buffer)
            except PassingError:
                return have  # what is here counts; the caller sees how far it got
            if count == 0:
                return have
            have += count
            if have > artifact.size:
                raise CorruptError(f"{shown(place.url)} has more bytes than the {artifact.size} that the lock pins")
            digest.update(buffer[:count])
            stream.write(buffer[:count])
            self._meter.reached(artifact.sha256, have)

    def _discard(self, artifact: Artifact, part: Path) -> None:
        part.unlink(missing_ok=True)
        self._meter.reached(artifact.sha256, 0)
