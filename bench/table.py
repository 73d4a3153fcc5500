"""The results as a table, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.timing import Row

BEGIN = "<!-- table: written by `make bench`, not by hand -->"
END = "<!-- end of table -->"
MARKS = {True: "met", False: "**missed**", None: ""}


def render(rows: Sequence[Row]) -> str:
    """Give a Markdown table, one line a measurement."""
    lines = ["| what | ours | peer | ours / peer | aim | |", "|---|---:|---:|---:|---|---|"]
    for row in rows:
        ours, theirs = spread(row.ours), f"{spread(row.theirs)} ({row.peer})"
        lines.append(f"| {row.name} | {ours} | {theirs} | {factor(row.ratio)} | {row.aim} | {MARKS[row.met]} |")
    return "\n".join(lines)


def spread(samples: Sequence[float]) -> str:
    """Give the median, with the extremes where there is more than one sample."""
    middle = duration(statistics.median(samples))
    return middle if len(samples) == 1 else f"{middle} ({duration(min(samples))} to {duration(max(samples))})"


def duration(seconds: float) -> str:
    """Give seconds with three digits, or milliseconds below one."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def factor(ratio: float) -> str:
    """Give a ratio as people say it: 1.07 x, or 1/210 where it is small."""
    return f"1/{1 / ratio:.0f}" if ratio < 0.1 else f"{ratio:.2f} x"


def machine() -> str:
    """Say what was measured on, as far as it matters for the ratios."""
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{len(os.sched_getaffinity(0))} cores, {gibibytes:.0f} GiB, Linux {platform.release()}"


def write(path: Path, rows: Sequence[Row]) -> None:
    """Put the table between the markers of a Markdown file; raises ValueError when they are not there."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} lacks the lines '{BEGIN}' and '{END}' that enclose the table; add them.")
    path.write_text(f"{before}{BEGIN}\n\nMeasured on {machine()}.\n\n{render(rows)}\n\n{END}{after}")
