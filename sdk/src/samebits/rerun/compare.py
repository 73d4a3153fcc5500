"""Compare what two runs left, on bits: metrics, params, files, logged models; EXCLUSIONS is all left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from samebits.rerun import content
from samebits.rerun.floats import bits, ulp_distance
from samebits.rerun.worktree import homeward

if TYPE_CHECKING:
    from samebits.store import Outputs

EXCLUSIONS = [
    "files samebits/*: our own record and verdict",
    "metrics system/*: MLflow's measurements of the machine",
    f"metrics {', '.join(content.SEARCH_TIMES)}: how long scikit-learn's searches took",
    "metrics: times of logging, and repeats of an equal value at one step (MLflow drops some of them)",
    "params: memory addresses (at 0x…) in printed objects; a worktree's path counts as the repository's",
    *content.EXCLUSIONS,
]
NOT_COMPARED = [
    "tags and notes",
    "MLflow's own dataset inputs",
    "registered model versions",
    "traces",
    "console output",
]
_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


@dataclass(frozen=True)
class MetricDifference:
    """The first step at which a metric differs; a value is None where a run has none at that step."""

    key: str
    step: int
    old: float | None
    new: float | None

    @property
    def ulps(self) -> int | None:
        """Distance in units in the last place, where both values are numbers."""
        return None if self.old is None or self.new is None else ulp_distance(self.old, self.new)


@dataclass(frozen=True)
class Difference:
    """A param or file that differs; None where a run lacks it."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Comparison:
    """What was compared, how much of it, and every difference, metrics first by step.

    `files_but_for` names the files that agree only without what EXCLUSIONS lists.
    """

    values: int
    metrics_compared: int
    params_compared: int
    files_compared: int
    files_but_for: list[str] = field(default_factory=list)
    metrics: list[MetricDifference] = field(default_factory=list)
    params: list[Difference] = field(default_factory=list)
    files: list[Difference] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Nothing differs."""
        return not (self.metrics or self.params or self.files)

    @property
    def compared_results(self) -> bool:
        """Whether there was any result to compare; params alone are inputs."""
        return bool(self.metrics_compared or self.files_compared)


def compare(old: Outputs[content.Content], new: Outputs[content.Content], root: str) -> Comparison:
    """All differences between two runs' outputs, where the path of a worktree of `root` stands for `root`."""
    old_metrics, new_metrics = (_stable_metrics(outputs.metrics) for outputs in (old, new))
    keys = sorted(set(old_metrics) | set(new_metrics))
    differing = [
        found for key in keys if (found := _first_difference(key, old_metrics.get(key, []), new_metrics.get(key, [])))
    ]
    old_files, new_files = (_own_files(outputs.files) for outputs in (old, new))
    old_params, new_params = (_stable_params(outputs.params, root) for outputs in (old, new))
    return Comparison(
        values=sum(len(history) for history in old_metrics.values()),
        metrics_compared=len(keys),
        params_compared=len(set(old_params) | set(new_params)),
        files_compared=len(set(old_files) | set(new_files)),
        files_but_for=[
            path
            for path, one in sorted(old_files.items())
            if (other := new_files.get(path)) and other.stable == one.stable and other.sha256 != one.sha256
        ],
        metrics=sorted(differing, key=lambda found: (found.step, found.key)),
        params=_differences(old_params, new_params),
        files=_file_differences(old_files, new_files),
    )


def _stable_metrics(metrics: dict[str, list[tuple[int, float]]]) -> dict[str, list[tuple[int, float]]]:
    return {
        key: history
        for key, history in metrics.items()
        if not key.startswith("system/") and key not in content.SEARCH_TIMES
    }


def _own_files(files: dict[str, content.Content]) -> dict[str, content.Content]:
    return {path: one for path, one in files.items() if not path.startswith("samebits/")}


def _file_differences(old: dict[str, content.Content], new: dict[str, content.Content]) -> list[Difference]:
    return [
        Difference(path, _described(old.get(path)), _described(new.get(path)))
        for path in sorted(set(old) | set(new))
        if path not in old or path not in new or old[path].stable != new[path].stable
    ]


def _described(file: content.Content | None) -> str | None:
    return f"sha256:{file.sha256} ({file.size} bytes)" if file else None


def _stable_params(params: dict[str, str], root: str) -> dict[str, str]:
    return {key: _ADDRESS.sub("at 0x…", homeward(value, root)) for key, value in params.items()}


def _differences(old: dict[str, str], new: dict[str, str]) -> list[Difference]:
    return [
        Difference(name, old.get(name), new.get(name))
        for name in sorted(set(old) | set(new))
        if old.get(name) != new.get(name)
    ]


def _first_difference(key: str, old: list[tuple[int, float]], new: list[tuple[int, float]]) -> MetricDifference | None:
    """By step, then in the order logged; several values at one step compare as sets of bit patterns."""
    old_steps, new_steps = _by_step(old), _by_step(new)
    for step in sorted(set(old_steps) | set(new_steps)):
        ours, theirs = old_steps.get(step, {}), new_steps.get(step, {})
        if ours.keys() != theirs.keys():
            only_old = [value for pattern, value in ours.items() if pattern not in theirs]
            only_new = [value for pattern, value in theirs.items() if pattern not in ours]
            return MetricDifference(key, step, _first(only_old), _first(only_new))
    return None


def _by_step(history: list[tuple[int, float]]) -> dict[int, dict[int, float]]:
    steps: dict[int, dict[int, float]] = {}
    for step, value in history:
        steps.setdefault(step, {}).setdefault(bits(value), value)
    return steps


def _first(values: list[float]) -> float | None:
    return values[0] if values else None
