"""Measurements taken in turns, and what is said of them: ratios, because times are a machine's own."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Row:
    """One line of the table: our seconds and the peer's, measured in the same run of the benchmarks.

    `aim` is for people; what it allows stands in `most`, by the measure it limits: "seconds" (our median),
    "ratio" (ours / the peer's) or "excess" (ours - the peer's, in seconds). Without aim the row only informs.
    """

    name: str
    ours: list[float]
    peer: str
    theirs: list[float]
    aim: str = ""
    most: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Our median."""
        return statistics.median(self.ours)

    @property
    def peer_seconds(self) -> float:
        """The peer's median."""
        return statistics.median(self.theirs)

    @property
    def ratio(self) -> float:
        """Our median by the peer's."""
        return self.seconds / self.peer_seconds

    @property
    def excess(self) -> float:
        """By how many seconds we are slower: the median of the pairs where they were taken in pairs."""
        if len(self.ours) == len(self.theirs):
            return statistics.median(a - b for a, b in zip(self.ours, self.theirs, strict=True))
        return self.seconds - self.peer_seconds

    @property
    def met(self) -> bool | None:
        """Whether the aim was met; None where there is none."""
        return all(getattr(self, measure) <= most for measure, most in self.most.items()) if self.most else None

    def as_dict(self) -> dict[str, Any]:
        """Everything measured and said, for JSON."""
        said = ("seconds", "peer_seconds", "ratio", "excess", "met")
        return asdict(self) | {name: getattr(self, name) for name in said}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Row:
        """Read what `as_dict` wrote."""
        return cls(**{name: content[name] for name in ("name", "ours", "peer", "theirs", "aim", "most")})


def seconds(action: Callable[[], object]) -> float:
    """Measure how long `action` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_turns(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[list[float], list[float]]:
    """Take `rounds` pairs, changing who goes first, so that a machine that gets slower treats both alike."""
    results: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        order = ((0, ours), (1, theirs)) if turn % 2 == 0 else ((1, theirs), (0, ours))
        for which, measure in order:
            results[which].append(measure())
    return results
