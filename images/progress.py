"""Progress of a fetch: one line redrawn on a terminal, a plain line every few seconds anywhere else.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from types import TracebackType

_REDRAW = 0.2
_PLAIN = 5.0
_WINDOW = 10.0
_BAR = 20
_KILO = 1000


class Meter:
    """Counts bytes and files from several threads, and shows them while it is entered as a context."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._began = time.monotonic()
        self._files = 0
        self._size = 0
        self._done_files = 0
        self._here: dict[str, int] = {}
        self._done = 0
        self._found = 0
        self._samples: deque[tuple[float, int]] = deque()

    def expect(self, files: int, size: int) -> None:
        """Say how many more files and bytes are to come."""
        with self._guard:
            self._files += files
            self._size += size

    def reached(self, file: str, count: int) -> None:
        """Say that `count` bytes of a file are here: more than before, or fewer if it begins anew."""
        with self._guard:
            self._done += count - self._here.get(file, 0)
            self._here[file] = count

    def found(self, file: str, count: int) -> None:
        """Say the same of bytes that an earlier run received, which do not count towards the rate."""
        with self._guard:
            self._found += max(0, count - self._here.get(file, 0))
        self.reached(file, count)

    def add_files(self, count: int) -> None:
        """Count files that are in the store now."""
        with self._guard:
            self._done_files += count

    def note(self, text: str) -> None:
        """Show a line of its own, above the redrawn one."""
        with self._guard:
            if self._terminal:
                self._stream.write("\r\x1b[K")
            self._stream.write(text + "\n")
            self._stream.flush()

    def line(self) -> str:
        """Give the line that says how far things are."""
        now = time.monotonic()
        with self._guard:
            done, received = self._done, self._done - self._found
            self._samples.append((now, received))
            while now - self._samples[0][0] > _WINDOW:
                self._samples.popleft()
            since, before = self._samples[0]
        rate = max(0.0, (received - before) / (now - since)) if now > since else 0.0
        left = f"{_clock((self._size - done) / rate)} left" if rate else "waiting"
        if done >= self._size:
            left = "adding to the store"
        return (
            f"{done / max(1, self._size):4.0%}  {readable(done)} of {readable(self._size)}  "
            f"{readable(rate)}/s  {self._done_files}/{self._files} files  {left}"
        )

    def summary(self) -> str:
        """Give the sentence, without its full stop, that says what has been done, how fast."""
        seconds = time.monotonic() - self._began
        received = max(0, self._done - self._found)
        resumed = f", {readable(self._found)} of it earlier," if self._found else ""
        return (
            f"{self._done_files} files, {readable(self._done)}{resumed} fetched in {seconds:.1f} s "
            f"({readable(received / seconds)}/s)"
        )

    def __enter__(self) -> None:
        """Begin to show."""
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show no more, and leave a terminal's line clean."""
        self._stop.set()
        self._thread.join()
        if self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _show(self) -> None:
        self.line()  # the first sample, from which rates are measured
        while not self._stop.wait(_REDRAW if self._terminal else _PLAIN):
            if not self._terminal:
                self.note("fetch: " + self.line())
                continue
            text = self.line()
            filled = min(_BAR, _BAR * self._done // max(1, self._size))
            text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {text}"
            width = shutil.get_terminal_size().columns
            with self._guard:
                self._stream.write("\r\x1b[K" + text[: width - 1])
                self._stream.flush()


def readable(count: float) -> str:
    """Give a number of bytes as people read it, in powers of 1000."""
    if count < _KILO:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= _KILO
        if count < _KILO:
            return f"{count:.1f} {unit}"
    return f"{count / _KILO:.2f} GB"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
