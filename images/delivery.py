"""Many files at once: threads that download, and a few that add what is checked to the store, in batches.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from images.errors import FetchStoppedError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from images.download import Downloader, Source
    from images.nixstore import NixStore
    from images.plan import Wanted

_ADDERS = 2  # the largest files tend to end together, and adding one takes a core for seconds
_BATCH_FILES = 64
_BATCH_BYTES = 128 << 20
WAITING_BYTES = 512 << 20  # how much may lie checked and not yet added before downloads pause


@dataclass(frozen=True)
class Failure:
    """A file that could not be had, and why."""

    wanted: Wanted
    error: TransferError


class Delivery:
    """Brings one list of wanted files to the store, with `jobs` downloads at a time."""

    def __init__(self, store: NixStore, downloader: Downloader, jobs: int) -> None:
        self._store = store
        self._downloader = downloader
        self._jobs = jobs
        self._room = threading.Condition()
        self._waiting = 0
        self._todo: queue.SimpleQueue[Wanted] = queue.SimpleQueue()
        self._checked: queue.SimpleQueue[tuple[Wanted, Path] | None] = queue.SimpleQueue()
        self._failures: list[Failure] = []
        self._fatal: list[BaseException] = []

    def deliver(self, wanted: Sequence[Wanted], sources: Mapping[str, Sequence[Source]]) -> list[Failure]:
        """Bring all of `wanted` from the sources of their kind; give what could not be had.

        Raises FetchStoppedError when interrupted, and what makes going on pointless: DiskFullError,
        StoreUnusableError. Then, too, each file is in the store or not, and never a part of it.
        """
        # The largest first: one that begins last would be waited for with all other connections idle.
        for item in sorted(wanted, key=lambda item: (-item.artifact.size, item.artifact.store)):
            self._todo.put(item)
        workers = [_Thread(lambda: self._work(sources), self._fail) for _ in range(min(self._jobs, len(wanted)))]
        adders = [_Thread(self._add, self._fail) for _ in range(_ADDERS)]
        try:
            for thread in (*workers, *adders):
                thread.start()
            self._finish(workers, adders)
        except KeyboardInterrupt:
            self._halt()
            self._finish(workers, adders)  # additions that have begun are waited for; a second interrupt does not
            raise FetchStoppedError("The fetch was stopped.") from None
        if self._fatal:
            raise self._fatal[0]
        return sorted(self._failures, key=lambda failure: failure.wanted.artifact.store)

    def _finish(self, workers: Sequence[_Thread], adders: Sequence[_Thread]) -> None:
        for thread in workers:
            thread.wait()
        for _ in adders:
            self._checked.put(None)
        for thread in adders:
            thread.wait()

    def _fail(self, error: BaseException) -> None:
        self._fatal.append(error)
        self._halt()

    def _halt(self) -> None:
        self._downloader.halt()
        with self._room:
            self._room.notify_all()

    def _work(self, sources: Mapping[str, Sequence[Source]]) -> None:
        while not self._downloader.stop.is_set():
            try:
                item = self._todo.get_nowait()
            except queue.Empty:
                return
            with self._room:
                while self._waiting > WAITING_BYTES and not self._downloader.stop.is_set():
                    self._room.wait()
            try:
                path = self._downloader.download(item.artifact, sources[item.kind])
            except TransferError as error:
                self._failures.append(Failure(item, error))
                continue
            with self._room:
                self._waiting += item.artifact.size
            self._checked.put((item, path))

    def _add(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._batch()
            if self._downloader.stop.is_set():
                return  # what is checked stays in the partial folder, for the next run
            if not batch:
                continue
            self._store.add_files([path for _, path in batch], [item.path for item, _ in batch])
            for _, path in batch:
                path.unlink()
                path.parent.rmdir()
            self._downloader.meter.add_files(len(batch))
            with self._room:
                self._waiting -= sum(item.artifact.size for item, _ in batch)
                self._room.notify_all()

    def _batch(self) -> tuple[list[tuple[Wanted, Path]], bool]:
        """Wait for a checked file, take those that are there by then; say whether the end was among them."""
        batch: list[tuple[Wanted, Path]] = []
        size = 0
        pair = self._checked.get()
        while pair is not None:
            batch.append(pair)
            size += pair[0].artifact.size
            if len(batch) == _BATCH_FILES or size >= _BATCH_BYTES:
                return batch, False
            try:
                pair = self._checked.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True


class _Thread:
    """A thread whose end is known by an event: Thread.join says so too early when a signal interrupts it."""

    def __init__(self, action: Callable[[], None], fail: Callable[[BaseException], None]) -> None:
        self._action = action
        self._fail = fail
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self) -> None:
        """Wait for its end, if it has begun; signals are acted on meanwhile."""
        while self._thread.ident is not None and not self._ended.wait(0.1):
            pass

    def _run(self) -> None:
        try:
            self._action()
        except FetchStoppedError:
            pass
        except BaseException as error:  # noqa: BLE001  no one is above a thread: the main thread raises it
            self._fail(error)
        finally:
            self._ended.set()
