"""Many files at once: threads that download, and one that adds what is checked to the store, in batches.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from images.errors import FetchStoppedError, TransferError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from images.connection import Client
    from images.download import Downloader, Source
    from images.nixstore import NixStore
    from images.plan import Wanted
    from images.progress import Meter

_BATCH_FILES = 64
_BATCH_BYTES = 128 << 20
WAITING_BYTES = 512 << 20  # how much may lie checked and not yet added before downloads pause


@dataclass(frozen=True)
class Failure:
    """A file that could not be had, and why."""

    wanted: Wanted
    error: TransferError


class Delivery:
    """Brings wanted files to the store with `jobs` downloads at a time."""

    def __init__(
        self, store: NixStore, downloader: Downloader, client: Client, meter: Meter, stop: threading.Event, jobs: int
    ) -> None:
        self._store = store
        self._downloader = downloader
        self._client = client
        self._meter = meter
        self._stop = stop
        self._jobs = jobs
        self._room = threading.Condition()
        self._waiting = 0
        self._todo: queue.SimpleQueue[Wanted | None] = queue.SimpleQueue()
        self._checked: queue.SimpleQueue[tuple[Wanted, Path] | None] = queue.SimpleQueue()
        self._failures: list[Failure] = []
        self._fatal: list[BaseException] = []

    def deliver(self, wanted: Sequence[Wanted], sources: Mapping[str, Sequence[Source]]) -> list[Failure]:
        """Bring all of `wanted` from the sources of their kind; give what could not be had, the rest being in the store.

        Raises FetchStoppedError when interrupted, and what makes going on pointless: DiskFullError, StoreUnusableError.
        """
        # The largest first: a large file that begins last would be waited for with all other connections idle.
        for item in sorted(wanted, key=lambda item: (-item.artifact.size, item.artifact.store)):
            self._todo.put(item)
        count = max(1, min(self._jobs, len(wanted)))
        for _ in range(count):
            self._todo.put(None)
        workers = [threading.Thread(target=self._guarded, args=(self._work, sources), daemon=True) for _ in range(count)]
        adder = threading.Thread(target=self._guarded, args=(self._add, None), daemon=True)
        try:
            for thread in (*workers, adder):
                thread.start()
            for thread in workers:
                _join(thread)
            self._checked.put(None)
            _join(adder)
        except KeyboardInterrupt:
            self._halt()
            self._checked.put(None)
            for thread in (*workers, adder):
                _join(thread)  # an addition that has begun is waited for; a second interrupt does not wait
            raise FetchStoppedError("The fetch was stopped.") from None
        if self._fatal:
            raise self._fatal[0]
        return sorted(self._failures, key=lambda failure: failure.wanted.artifact.store)

    def _halt(self) -> None:
        self._stop.set()
        self._client.close_all()
        with self._room:
            self._room.notify_all()

    def _guarded(self, action, argument) -> None:  # noqa: ANN001
        try:
            action(argument)
        except FetchStoppedError:
            pass
        except BaseException as error:  # noqa: BLE001  a thread has no one above it: the main thread raises it
            self._fatal.append(error)
            self._halt()

    def _work(self, sources: Mapping[str, Sequence[Source]]) -> None:
        while True:
            item = self._todo.get()
            if item is None:
                return
            with self._room:
                while self._waiting > WAITING_BYTES and not self._stop.is_set():
                    self._room.wait()
            if self._stop.is_set():
                return
            try:
                path = self._downloader.download(item.artifact, sources[item.kind])
            except TransferError as error:
                self._failures.append(Failure(item, error))
                continue
            with self._room:
                self._waiting += item.artifact.size
            self._checked.put((item, path))

    def _add(self, _: None) -> None:
        ended = False
        while not ended:
            batch: list[tuple[Wanted, Path] | None] = [self._checked.get()]
            size = 0
            while batch[-1] is not None and len(batch) < _BATCH_FILES and size < _BATCH_BYTES:
                size += batch[-1][0].artifact.size
                try:
                    batch.append(self._checked.get_nowait())
                except queue.Empty:
                    break
            ended = batch[-1] is None
            pairs = [pair for pair in batch if pair is not None]
            if self._stop.is_set():
                return  # what is checked stays in the partial folder, for the next run
            if not pairs:
                continue
            self._store.add_files([path for _, path in pairs], [item.path for item, _ in pairs])
            for _, path in pairs:
                path.unlink()
                path.parent.rmdir()
            self._meter.add_files(len(pairs))
            with self._room:
                self._waiting -= sum(item.artifact.size for item, _ in pairs)
                self._room.notify_all()


def _join(thread: threading.Thread) -> None:
    while thread.is_alive():
        thread.join(0.1)  # in steps: a plain join would not let signals through on every platform


