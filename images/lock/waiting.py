"""Plain progress lines for steps that say nothing themselves for minutes: resolvers at work."""

import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO


class Progress:
    """Prints a line for each step, and while entered, the last step again every `interval` seconds."""

    def __init__(self, stream: TextIO | None = None, interval: float = 15.0) -> None:
        self._stream = stream or sys.stderr
        self._interval = interval
        self._ended = threading.Event()
        self._step = ""
        self._since = time.monotonic()
        self._thread = threading.Thread(target=self._repeat, daemon=True)

    def __enter__(self) -> Self:
        """Begin to repeat."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop repeating."""
        self._ended.set()
        self._thread.join()

    def say(self, step: str) -> None:
        """Print that `step` begins."""
        self._step, self._since = step, time.monotonic()
        print(f"lock: {step}", file=self._stream, flush=True)

    def _repeat(self) -> None:
        while not self._ended.wait(self._interval):
            seconds = time.monotonic() - self._since
            if self._step and seconds >= self._interval:
                print(f"lock: {self._step} ({seconds:.0f} s so far)", file=self._stream, flush=True)
