"""The whole rerun: carry out a plan once or twice, compare, judge, and keep the verdict with the new run."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from samebits.rerun import attribution, compare, content, execution, verdict
from samebits.store import VERDICT_ARTIFACT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from samebits.rerun.attribution import Dimension
    from samebits.rerun.compare import Comparison
    from samebits.rerun.plan import Plan
    from samebits.rerun.verdict import Verdict
    from samebits.store import Store, StoredRun

TAG_LENGTH = 1000
VERSION = 1


@dataclass(frozen=True)
class Outcome:
    """A verdict with its evidence; without comparison where nothing was executed."""

    run_id: str
    reruns: list[str]
    verdict: Verdict
    comparison: Comparison | None = None
    between_reruns: Comparison | None = None
    dimensions: list[Dimension] = field(default_factory=list)
    not_recorded: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    def to_data(self) -> dict[str, Any]:
        """Plain data for JSON: floats as repr and hex, so that NaN and every bit survive."""
        return {
            "version": VERSION,
            "run": self.run_id,
            "reruns": self.reruns,
            "verdict": self.verdict.word,
            "sentence": self.verdict.sentence,
            "attributed_to": self.verdict.attributed_to,
            "notes": self.verdict.notes,
            "dimensions": [dataclasses.asdict(one) for one in self.dimensions],
            "comparison": _data(self.comparison),
            "between_reruns": _data(self.between_reruns),
            "excluded": compare.EXCLUSIONS,
            "not_compared": compare.NOT_COMPARED,
            "not_recorded": self.not_recorded,
            "not_checked": self.not_checked,
        }


def repeat(plan: Plan, store: Store, original: StoredRun, environ: Mapping[str, str], *, twice: bool) -> Outcome:
    """Carry out a plan; each rerun is a new MLflow run that carries the verdict as tags and artifact."""
    notes = [f"{note.dimension}: {note.text}" for note in plan.notes]
    left_out = (plan.record.not_recorded, plan.record.not_checked)
    if plan.refusals:
        judged = verdict.refused(plan.refusals, notes)
        return Outcome(plan.run_id, [], judged, not_recorded=left_out[0], not_checked=left_out[1])
    measure = functools.partial(content.measure, root=plan.root)
    old = store.outputs(original, measure)
    runs, outputs, records = [], [], []
    for _ in range(2 if twice else 1):
        run = execution.execute(plan, store, original, environ)
        runs.append(run)
        outputs.append(store.outputs(run, measure))
        records.append(store.read_record(run))
    comparisons = [compare.compare(old, new, plan.root) for new in outputs]
    between = compare.compare(outputs[0], outputs[1], plan.root) if twice else None
    # Where only one of two reruns differs from the original, that one is what there is to show.
    index = next((index for index, one in enumerate(comparisons) if not one.identical), 0)
    found = attribution.dimensions(plan.record, records[index], plan.root)
    judged = verdict.judge(comparisons[index], found, between, notes)
    ids = [run.run_id for run in runs]
    outcome = Outcome(plan.run_id, ids, judged, comparisons[index], between, found, *left_out)
    for run in runs:
        store.log_json(run.run_id, VERDICT_ARTIFACT, outcome.to_data())
        tags = {"samebits.verdict": judged.word, "samebits.verdict_reason": judged.sentence[:TAG_LENGTH]}
        store.tag(run.run_id, tags)
    return outcome


def _data(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    data = dataclasses.asdict(comparison)
    data["metrics"] = [
        {"key": one.key, "step": one.step, "old": _number(one.old), "new": _number(one.new), "ulps": one.ulps}
        for one in comparison.metrics
    ]
    return data


def _number(value: float | None) -> dict[str, str] | None:
    return None if value is None else {"repr": repr(value), "hex": value.hex()}
