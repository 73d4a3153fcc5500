"""What people see while files are fetched: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import os
import pty
import subprocess
from pathlib import Path

import pytest

from images.progress import Meter, readable

REPOSITORY = Path(__file__).resolve().parents[3]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_the_line_counts_files_and_bytes():
    """Bytes, rate, files and what is left are in the line; bytes of an earlier run do not count as speed."""
    meter = Meter(io.StringIO())
    meter.expect(3, 3_000_000)
    meter.found("a", 1_000_000)
    assert meter.line() == " 33%  1.0 MB of 3.0 MB  0 B/s  0/3 files  waiting"
    meter.reached("b", 1_000_000)
    meter.add_files(1)
    line = meter.line()
    assert line.startswith(" 67%  2.0 MB of 3.0 MB  ")
    assert line.endswith(" left")
    assert "  1/3 files  " in line
    meter.reached("b", 0)
    assert " 33%  1.0 MB of 3.0 MB" in meter.line()
    meter.reached("b", 2_000_000)
    assert meter.line().endswith("adding to the store")
    assert meter.summary().startswith("1 files, 3.0 MB, 1.0 MB of it earlier, fetched in ")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_500_000, "1.5 MB"),
        (686_100_000, "686.1 MB"),
        (2e9, "2.00 GB"),
    ],
)
def test_bytes_are_readable(count, text):
    """Powers of 1000, as mirrors and disks count."""
    assert readable(count) == text


def test_notes_do_not_mix_with_the_bar():
    """On a terminal a note first clears the redrawn line; elsewhere it is a line like any other."""
    terminal, plain = Terminal(), io.StringIO()
    Meter(terminal).note("trying again")
    Meter(plain).note("trying again")
    assert terminal.getvalue() == "\r\x1b[Ktrying again\n"
    assert plain.getvalue() == "trying again\n"


def test_a_terminal_gets_a_bar_and_a_pipe_does_not(world):
    """The real command on a real pseudo-terminal redraws a bar and leaves the line clean at its end."""
    content = os.urandom(4_000_000)
    world.debian("big_1_amd64.deb", content)
    world.mirror.pace = 0.02
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        world.command(), cwd=REPOSITORY, env=world.environ, stderr=terminal, stdout=subprocess.PIPE
    )
    os.close(terminal)
    seen = b""
    while True:
        try:
            chunk = os.read(controller, 65536)
        except OSError:  # the way a pseudo-terminal says that its other end is closed
            break
        if not chunk:
            break
        seen += chunk
    os.close(controller)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0, seen
    assert b"\r\x1b[K[#" in seen
    assert b" of 4.0 MB  " in seen
    assert b"MB/s" in seen
    assert seen.endswith(b"\r\x1b[K")
    assert b"\x1b" not in out
