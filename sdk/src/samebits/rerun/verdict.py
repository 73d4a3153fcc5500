"""From comparison and dimensions to one word, its exit code, and a sentence claiming only what was shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from samebits.rerun.attribution import Dimension
    from samebits.rerun.compare import Comparison
    from samebits.rerun.plan import Reason

EXIT = {"IDENTICAL": 0, "DIFFERENT": 1, "INCONCLUSIVE": 2}
# Equal outputs prove nothing about the recorded run when one of these was not the recorded one.
PROVING = ("code", "data", "closure", "seed", "arguments")
NAMED = 3


@dataclass(frozen=True)
class Verdict:
    """The word, the sentence after it, what it is attributed to, and what else to know."""

    word: str
    sentence: str
    attributed_to: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 IDENTICAL, 1 DIFFERENT, 2 INCONCLUSIVE."""
        return EXIT[self.word]


def refused(refusals: list[Reason], notes: list[str]) -> Verdict:
    """The verdict on a plan that cannot be carried out as recorded."""
    reasons = "; ".join(f"{one.dimension}: {one.text}" for one in refusals)
    dimensions = list(dict.fromkeys(one.dimension for one in refusals))
    return Verdict("INCONCLUSIVE", f"nothing was executed. {_sentence(reasons)}", dimensions, notes)


def judge(
    comparison: Comparison, found: list[Dimension], between_reruns: Comparison | None, notes: list[str]
) -> Verdict:
    """The verdict on an executed rerun; `between_reruns` compares the two of `--twice`."""
    notes = [*notes, *(f"{one.name}: {one.detail}" for one in found if one.state == "same" and one.detail)]
    if not comparison.compared_results:
        nothing = "the runs logged no metric and no file, so there is nothing to compare."
        return Verdict("INCONCLUSIVE", nothing, ["results"], notes)
    if comparison.identical and (between_reruns is None or between_reruns.identical):
        return _identical(comparison, found, between_reruns, notes)
    return _different(comparison, found, between_reruns, notes)


def _identical(
    comparison: Comparison, found: list[Dimension], between_reruns: Comparison | None, notes: list[str]
) -> Verdict:
    exactly = comparison.files_compared - len(comparison.files_but_for)
    metrics = f"{comparison.values} values of {comparison.metrics_compared} metrics"
    amount = f"{metrics}, {comparison.params_compared} params, {exactly} files"
    agree = f"{amount} agree bit by bit" + (", in both reruns" if between_reruns is not None else "")
    if comparison.files_but_for:
        agree += f" ({len(comparison.files_but_for)} more but for what the list of exclusions names)"
    doubts = [one for one in found if one.state == "unknown" or (one.state == "differs" and one.name in PROVING)]
    if doubts:
        reasons = _sentence("; ".join(f"{one.name}: {one.detail}" for one in doubts))
        sentence = f"{agree}, but that does not prove the recorded run repeatable. {reasons}"
        return Verdict("INCONCLUSIVE", sentence, [one.name for one in doubts], notes)
    also = [f"{one.name} differed, and the bits did not: {one.detail}" for one in found if one.state == "differs"]
    return Verdict("IDENTICAL", f"{agree}.", [], [*notes, *also])


def _different(
    comparison: Comparison, found: list[Dimension], between_reruns: Comparison | None, notes: list[str]
) -> Verdict:
    """Attribute to exactly what is known to differ; where nothing is, say how far that is known."""
    shown = between_reruns if comparison.identical and between_reruns is not None else comparison
    unstable = between_reruns is not None and not between_reruns.identical
    differing = [one for one in found if one.state == "differs"]
    unknown = [one for one in found if one.state == "unknown"]
    causes = [f"{one.name} ({one.detail})" for one in differing]
    names = [one.name for one in differing]
    if unstable:
        causes.append("the program's own nondeterminism (two equal reruns differ from each other)")
        names.append("nondeterminism")
    open_ = "; ".join(f"{one.name} is not known: {one.detail}" for one in unknown)
    if causes:
        parts = [f"Attributed to {' and '.join(causes)}", *([f"Besides, {open_}"] if unknown else [])]
    elif unknown:
        parts = [f"It cannot be attributed: {open_}"]
        names = [one.name for one in unknown]
    elif between_reruns is not None:
        agree = "The two reruns agree with each other and nothing recorded differs"
        parts = [f"{agree}, so the cause is something that is not recorded"]
        names = ["unrecorded"]
    else:
        likely = "Nothing recorded differs: likely the program's own nondeterminism, or else something that"
        parts = [f"{likely} is not recorded; --twice separates the two"]
        names = ["nondeterminism (likely)"]
    return Verdict("DIFFERENT", " ".join(map(_sentence, [_first(shown), *parts])), names, notes)


def _first(comparison: Comparison) -> str:
    parts = []
    if comparison.metrics:
        first = comparison.metrics[0]
        values = f"{_value(first.old)} then, {_value(first.new)} now"
        distance = f", {first.ulps} ulp apart" if first.ulps is not None else ""
        others = f"; {len(comparison.metrics)} metrics differ" if len(comparison.metrics) > 1 else ""
        parts.append(f"metric {first.key!r} first differs at step {first.step}: {values}{distance}{others}")
    for kind, differences in (("param", comparison.params), ("file", comparison.files)):
        if differences:
            names = ", ".join(one.name for one in differences[:NAMED])
            more = ", …" if len(differences) > NAMED else ""
            verb = f"{kind} differs" if len(differences) == 1 else f"{kind}s differ"
            parts.append(f"{len(differences)} {verb} ({names}{more})")
    return "; ".join(parts)


def _value(value: float | None) -> str:
    return "nothing" if value is None else repr(value)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
