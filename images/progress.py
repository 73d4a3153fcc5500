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


class Meter:
    """Counts bytes and files from several threads, and shows them while it is entered as a context.

    `files` and `size` (bytes) are what is to come. A byte is counted when it was received or found in a partial file, a
    file when it is in the store.
    """

    def __init__(self, files: int, size: int, stream: TextIO = sys.stderr) -> None:
        self.files = files
        self.size = size
        self.done_files = 0
        self.done_bytes = 0
        self._reached: dict[str, int] = {}
        self._stream = stream
        self._terminal = stream.isatty()
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
        self._samples: deque[tuple[float, int]] = deque()
        self._began = time.monotonic()

    def reached(self, file: str, count: int) -> None:
        """Say that `count` bytes of a file are here: more than before, or fewer when it has to be fetched again."""
        with self._guard:
            self.done_bytes += count - self._reached.get(file, 0)
            self._reached[file] = count

    def add_files(self, count: int) -> None:
        """Count files that are in the store now."""
        with self._guard:
            self.done_files += count

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
            received, files = self.done_bytes, self.done_files
            self._samples.append((now, received))
            while now - self._samples[0][0] > _WINDOW:
                self._samples.popleft()
            since, before = self._samples[0]
        rate = (received - before) / (now - since) if now > since else 0.0
        left = f"{_clock((self.size - received) / rate)} left" if rate > 0 else "starting"
        if received >= self.size:
            left = "adding to the store"
        share = received / self.size if self.size else 1.0
        return (
            f"{share:4.0%}  {readable(received)} of {readable(self.size)}  {readable(rate)}/s  "
            f"{files}/{self.files} files  {left}"
        )

    @property
    def seconds(self) -> float:
        """Say how long ago it was made."""
        return time.monotonic() - self._began

    def __enter__(self) -> Meter:
        """Begin to show."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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
            filled = min(_BAR, int(_BAR * self.done_bytes / self.size)) if self.size else _BAR
            text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {text}"
            width = shutil.get_terminal_size().columns
            with self._guard:
                self._stream.write("\r\x1b[K" + text[: width - 1])
                self._stream.flush()


def readable(count: float) -> str:
    """Give a number of bytes as people read it, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
