"""Trying again: which errors, how often, after which waits. Standard library only, Python 3.9 or newer."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from images.errors import FetchStoppedError, PassingError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

_T = TypeVar("_T")
_LONGEST_WAIT = 60.0
_OUTAGE_FILES = 3
_OUTAGE_SECONDS = 30.0
_TOLD_SECONDS = 5.0


@dataclass
class _Outage:
    failures: int = 0
    since: float = 0.0
    error: PassingError | None = None


class Patience:
    """Meets passing errors with more tries: `tries` in a row without advance, after waits that double.

    The first wait is `wait` seconds, give or take a quarter; a server's Retry-After counts, up to a minute.
    A host that has failed three files to the end is left alone for half a minute: what is asked of it then
    fails at once, so that an outage does not last. `tell` gets a sentence now and then on what is waited for.
    """

    def __init__(self, stop: threading.Event, tell: Callable[[str], None], tries: int = 5, wait: float = 0.5) -> None:
        self._stop = stop
        self._tell = tell
        self._tries = tries
        self._wait = wait
        self._outages: dict[str, _Outage] = {}
        self._told = 0.0

    def keep_trying(self, where: str, action: Callable[[], _T]) -> _T:
        """Give what `action` gives; `where` names the host. Raises what it raised last, FetchStoppedError."""
        failed = 0
        outage = self._outages.setdefault(where, _Outage())
        while not self._stop.is_set():
            over = time.monotonic() - outage.since > _OUTAGE_SECONDS
            if outage.error is not None and outage.failures >= _OUTAGE_FILES and not over:
                raise outage.error
            try:
                result = action()
            except PassingError as error:
                if self._stop.is_set():
                    break
                failed = 1 if error.advanced else failed + 1
                if failed >= self._tries:
                    outage.failures, outage.since, outage.error = outage.failures + 1, time.monotonic(), error
                    raise
                self._pause(error, failed)
            else:
                outage.failures = 0
                return result
        raise FetchStoppedError("the fetch was stopped")

    def _pause(self, error: PassingError, failed: int) -> None:
        backoff = self._wait * 2 ** (failed - 1) * random.uniform(0.75, 1.25)  # noqa: S311  spreads load, hides nothing
        seconds = min(max(backoff, error.wait), _LONGEST_WAIT)
        now = time.monotonic()
        if seconds >= 1 and now - self._told > _TOLD_SECONDS:
            self._told = now
            self._tell(f"fetch: {error}; trying again in {seconds:.0f} s")
        self._stop.wait(seconds)
