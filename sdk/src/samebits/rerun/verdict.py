"""From comparison and dimensions to one word, its exit code and one sentence that claims no more than was shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from samebits.rerun.attribution import Dimension
    from samebits.rerun.compare import Comparison

EXIT = {"IDENTICAL": 0, "DIFFERENT": 1, "INCONCLUSIVE": 2}
# Equal outputs prove nothing about the recorded run when one of these was not the recorded one.
PROVING = ("code", "data", "closure", "seed", "arguments")


@dataclass(frozen=True)
class Verdict:
    """The word, the sentence after it, what it is attributed to, and what remains unchecked."""

    word: str
    sentence: str
    attributed_to: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 IDENTICAL, 1 DIFFERENT, 2 INCONCLUSIVE."""
        return EXIT[self.word]


def refused(refusals: list[tuple[str, str]], notes: list[str]) -> Verdict:
    """The verdict on a plan that cannot be carried out as recorded."""
    reasons = "; ".join(f"{dimension}: {reason}" for dimension, reason in refusals)
    return Verdict("INCONCLUSIVE", f"nothing was executed. {reasons}.",
                   sorted({dimension for dimension, _ in refusals}), notes)


def judge(comparison: Comparison, found: list[Dimension], between_reruns: Comparison | None,
          notes: list[str]) -> Verdict:
    """The verdict on an executed rerun; `between_reruns` compares the two of `--twice`."""
    differing = [dimension for dimension in found if dimension.state == "differs"]
    unknown = [dimension for dimension in found if dimension.state == "unknown"]
    notes = [*notes, *(f"{one.name}: {one.detail}" for one in found if one.state == "same" and one.detail)]
    unstable = between_reruns is not None and not between_reruns.identical
    if not comparison.compared_results:
        return Verdict("INCONCLUSIVE", "the runs logged no metric and no file, so there is nothing to compare.", [],
                       notes)
    if comparison.identical and not unstable:
        return _identical(comparison, differing, unknown, between_reruns, notes)
    return _different(comparison, differing, unknown, between_reruns, notes)


def _identical(comparison: Comparison, differing: list[Dimension], unknown: list[Dimension],
               between_reruns: Comparison | None, notes: list[str]) -> Verdict:
    amount = (f"{comparison.values} values of {comparison.metrics_compared} metrics, {comparison.params_compared} "
              f"params and {comparison.files_compared} files agree bit by bit")
    doubts = [*(dimension for dimension in differing if dimension.name in PROVING), *unknown]
    if doubts:
        reasons = "; ".join(f"{one.name}: {one.detail}" for one in doubts)
        return Verdict("INCONCLUSIVE", f"{amount}, but that does not prove the recorded run repeatable. {reasons}.",
                       [one.name for one in doubts], notes)
    notes += [f"{one.name} differed all the same ({one.detail})" for one in differing]
    again = ", in both reruns" if between_reruns is not None else ""
    return Verdict("IDENTICAL", f"{amount}{again}.", [], notes)


def _different(comparison: Comparison, differing: list[Dimension], unknown: list[Dimension],
               between_reruns: Comparison | None, notes: list[str]) -> Verdict:
    what = _first(comparison if not comparison.identical or between_reruns is None else between_reruns)
    causes = [f"{one.name} ({one.detail})" for one in differing]
    names = [one.name for one in differing]
    if between_reruns is not None and not between_reruns.identical:
        causes.append("the program's own nondeterminism (two reruns of the same differ from each other)")
        names.append("nondeterminism")
    open_ = "; ".join(f"{one.name} cannot be told: {one.detail}" for one in unknown)
    if causes:
        sentence = f"{what}. Attributed to {' and '.join(causes)}."
        sentence += f" Besides, {open_}." if open_ else ""
    elif unknown:
        sentence = f"{what}. It cannot be attributed: {open_}."
        names = [one.name for one in unknown]
    elif between_reruns is not None:
        sentence = (f"{what}. Two reruns agree with each other, and nothing recorded differs: the cause is something "
                    "that is not recorded.")
        names = ["unrecorded"]
    else:
        sentence = (f"{what}. Nothing recorded differs: likely the program's own nondeterminism, or something not "
                    "recorded; --twice separates the two.")
        names = ["nondeterminism (likely)"]
    return Verdict("DIFFERENT", sentence, names, notes)


def _first(comparison: Comparison) -> str:
    parts = []
    if comparison.metrics:
        first = comparison.metrics[0]
        distance = f", {first.ulps} ulp apart" if first.ulps is not None else ""
        parts.append(f"metric {first.key!r} first differs at step {first.step}: {_value(first.old)} then, "
                     f"{_value(first.new)} now{distance}"
                     + (f" ({len(comparison.metrics)} metrics differ)" if len(comparison.metrics) > 1 else ""))
    for kind, differences in (("param", comparison.params), ("file", comparison.files)):
        if differences:
            names = ", ".join(one.name for one in differences[:3]) + (", …" if len(differences) > 3 else "")
            parts.append(f"{len(differences)} {kind}{'s differ' if len(differences) > 1 else ' differs'} ({names})")
    return "; ".join(parts)


def _value(value: float | None) -> str:
    return "nothing" if value is None else repr(value)
