"""One pinned file at a time: resumed, checked against the lock, tried again where that may help.

A file grows as `<sha256>.part` in the partial folder, from which a later run resumes. Only when size and
sha256 are the lock's is it given its store name, `<sha256>/<store name>`.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import errno
import hashlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

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
from images.route import DIRECT, Route, shown

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from images.answer import Answer
    from images.connection import Client
    from images.lock.lockfile import Artifact
    from images.patience import Patience
    from images.progress import Meter

_CHUNK = 1 << 16  # what a server that falls silent can cost at most
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


class Downloader:
    """Brings files to `folder`; several threads may use one, each for another file. `stop` ends it soon."""

    def __init__(self, folder: Path, client: Client, meter: Meter, patience: Patience, stop: threading.Event) -> None:
        self.meter = meter
        self.stop = stop
        self._folder = folder
        self._client = client
        self._patience = patience

    def halt(self) -> None:
        """End all downloads now; what they have received stays, to be resumed."""
        self.stop.set()
        self._client.close_all()

    def download(self, artifact: Artifact, sources: Sequence[Source]) -> Path:
        """Bring the file from the first source that has it; give the path of the checked file.

        Raises GoneError when all sources say that they lack it, RefusedError with their reasons otherwise;
        DiskFullError, FetchStoppedError, or FetchError when the folder cannot be written.
        """
        troubles: list[TransferError] = []
        for source in sources:
            try:
                places = self._ask(source, artifact)
            except TransferError as error:
                troubles.append(error)
                continue
            for place in places:
                try:
                    return self._from_place(artifact, place)
                except TransferError as error:
                    troubles.append(error)
        serious = [error for error in troubles if not isinstance(error, GoneError)]
        kind = RefusedError if serious else GoneError
        raise kind("; ".join(dict.fromkeys(map(str, serious or troubles))) or "there is nowhere to ask for it")

    def _ask(self, source: Source, artifact: Artifact) -> Sequence[Place]:
        def places() -> Sequence[Place]:
            return source.places(artifact)

        return self._patience.keep_trying(repr(source), places)

    def _from_place(self, artifact: Artifact, place: Place) -> Path:
        part = self._folder / f"{artifact.sha256}.part"
        checked = self._folder / artifact.sha256 / artifact.store
        try:
            if checked.exists():  # an interrupted run had it complete: it is checked again like any partial file
                checked.replace(part)
            self._fill(artifact, place, part)
            checked.parent.mkdir(exist_ok=True)
            part.replace(checked)
        except OSError as error:
            if error.errno in _FULL:
                self._discard(artifact, part)
                raise DiskFullError(
                    f"The disk is full: {artifact.file} does not fit into {self._folder}. Make room there, "
                    "or point XDG_CACHE_HOME at a larger disk, and run the command again: what is complete "
                    "is kept."
                ) from error
            raise FetchError(
                f"{self._folder} cannot be written ({error.strerror or error}). Partial downloads are kept "
                "there: make it writable, or point XDG_CACHE_HOME at another folder, and run the command "
                "again."
            ) from error
        return checked

    def _fill(self, artifact: Artifact, place: Place, part: Path) -> None:
        furthest = 0

        def attempt() -> None:
            nonlocal furthest
            before, furthest = furthest, max(furthest, _Attempt(artifact, place, part, self.meter).run(self))
            if furthest < artifact.size:
                what = f"{shown(place.url)} broke off after {furthest} of {artifact.size} bytes"
                raise PassingError(what, advanced=furthest > before)

        for last in (False, True):
            try:
                self._patience.keep_trying(urlsplit(place.url).netloc, attempt)
            except CorruptError:  # once from scratch: a bad resume or a broken proxy mends that way
                self._discard(artifact, part)
                furthest = 0
                if last:
                    raise
            else:
                return

    def open(self, place: Place, offset: int) -> Answer:
        """Start reading a place at `offset`; raises what Client.open does."""
        return self._client.open(place.url, place.route, offset=offset)

    def _discard(self, artifact: Artifact, part: Path) -> None:
        part.unlink(missing_ok=True)
        self.meter.reached(artifact.sha256, 0)


class _Attempt:
    """One try to read on where the partial file ends."""

    def __init__(self, artifact: Artifact, place: Place, part: Path, meter: Meter) -> None:
        self._artifact = artifact
        self._where = shown(place.url)
        self._place = place
        self._part = part
        self._meter = meter
        self._digest = hashlib.sha256()
        self._have = 0

    def run(self, downloader: Downloader) -> int:
        """Give how many bytes are there now, whatever ended the transfer; all of them only if they are right.

        Raises CorruptError when they are not, the TransferErrors of opening the place, or FetchStoppedError.
        """
        size = self._artifact.size
        with self._part.open("a+b") as stream:
            self._resume(stream)
            if self._have < size:
                answer = downloader.open(self._place, self._have)
                try:
                    if answer.size not in (None, size):
                        raise CorruptError(f"{self._where} has {answer.size} bytes where the lock pins {size}")
                    if answer.start != self._have:  # no Range there: it sends everything
                        self._start_over(stream)
                    self._copy(answer, stream, downloader.stop)
                finally:
                    answer.close()
        if self._have == size and self._digest.hexdigest() != self._artifact.sha256:
            raise CorruptError(
                f"{self._where} gave a file with the sha256 {self._digest.hexdigest()} where the lock pins "
                f"{self._artifact.sha256}"
            )
        return self._have

    def _resume(self, stream: IO[bytes]) -> None:
        stream.seek(0)
        while chunk := stream.read(_CHUNK):
            self._digest.update(chunk)
            self._have += len(chunk)
            if self._have > self._artifact.size:
                self._start_over(stream)
                return
        self._meter.found(self._artifact.sha256, self._have)

    def _start_over(self, stream: IO[bytes]) -> None:
        stream.seek(0)
        stream.truncate()
        self._digest, self._have = hashlib.sha256(), 0

    def _copy(self, answer: Answer, stream: IO[bytes], stop: threading.Event) -> None:
        buffer = memoryview(bytearray(_CHUNK))
        while not stop.is_set():
            try:
                count = answer.readinto(buffer)
            except PassingError:
                return  # what is here counts; the caller sees how far it got
            if count == 0:
                return
            self._have += count
            if self._have > self._artifact.size:
                raise CorruptError(f"{self._where} has more bytes than the {self._artifact.size} that are pinned")
            self._digest.update(buffer[:count])
            stream.write(buffer[:count])
            self._meter.reached(self._artifact.sha256, self._have)
        raise FetchStoppedError("the fetch was stopped")
