"""Which recorded dimensions are the same in two records, which differ, and which nobody can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebits import datasets
from samebits.rerun.worktree import homeward

if TYPE_CHECKING:
    from samebits.record import ClosureUsed, Record

SHOWN = 3
# Told elsewhere: PYTHONPATH is code, the other two are seeds.
NOT_NUMERICS = {"env.PYTHONPATH", "env.SAMEBITS_SEED", "env.PYTHONHASHSEED"}


@dataclass(frozen=True)
class Dimension:
    """One dimension: state `same`, `differs` or `unknown`, and in words what differs or is missing."""

    name: str
    state: str
    detail: str = ""


def dimensions(old: Record, new: Record, root: str) -> list[Dimension]:
    """Compare all that both records know; `root` is the user's tree, from which a rerun must load no code."""
    return [
        _code(old, new, root),
        _data(old, new),
        _closure(old.closure, new.closure),
        _seed(old, new),
        _numerics(old, new),
        _arguments(old, new, root),
    ]


def _code(old: Record, new: Record, root: str) -> Dimension:
    if "none" in {old.code.commit, new.code.commit}:
        return Dimension("code", "unknown", "no commit was recorded")
    if _commits(old) & _commits(new):
        return _loaded(new, root)
    if old.code.head != new.code.head:
        return Dimension("code", "differs", f"{_described(old)} then, {_described(new)} now")
    if {old.code.executable, new.code.executable} == {"dirty"}:
        return Dimension("code", "unknown", "both trees were dirty, and their content was not kept")
    which, record = ("the rerun", new) if new.code.commit == "dirty" else ("the run", old)
    changed = ", ".join(record.code.changed[:SHOWN])
    return Dimension("code", "differs", f"same commit, but the tree of {which} was dirty ({changed})")


def _loaded(new: Record, root: str) -> Dimension:
    """Whether what ran was the commit, now that both records name the same one."""
    if new.code.commit != "dirty" and not new.modules.repository:
        detail = "the rerun loaded no module from the repository: the program is installed elsewhere"
        return Dimension("code", "unknown", f"{detail}, and that code is not recorded")
    if stray := [path for path in new.modules.outside if datasets.is_under(path, root)]:
        detail = f"the rerun loaded {stray[0]} from your tree instead of its worktree"
        return Dimension("code", "unknown", f"{detail} (is the project installed in editable mode?)")
    return Dimension("code", "same")


def _commits(record: Record) -> set[str]:
    """The commits that a tree was equal to; to its head, too, where only datasets differ, which are recorded apart."""
    code = record.code
    declared = {item.path for item in record.datasets if item.in_repository}
    changed = {line.partition(" ")[2] for line in code.changed}
    equal = {code.executable} - {"dirty"}
    if code.commit == "dirty" and code.head and len(code.changed) == code.changed_total and changed <= declared:
        equal.add(code.head)
    return equal


def _described(record: Record) -> str:
    return f"commit {record.code.head}" + (" with changes" if record.code.commit == "dirty" else "")


def _data(old: Record, new: Record) -> Dimension:
    then, now = ({(item.name, item.path): item.sha256 for item in record.datasets} for record in (old, new))
    changed = [
        f"dataset {key[0]!r} was {_digest(then.get(key))}, is {_digest(now.get(key))}"
        for key in sorted(set(then) | set(now))
        if then.get(key) != now.get(key)
    ]
    return Dimension("data", "differs", _some(changed)) if changed else Dimension("data", "same")


def _digest(sha256: str | None) -> str:
    return f"sha256:{sha256[:12]}…" if sha256 else "not read"


def _some(sentences: list[str]) -> str:
    more = f" and {len(sentences) - SHOWN} more" if len(sentences) > SHOWN else ""
    return "; ".join(sentences[:SHOWN]) + more


def _closure(old: ClosureUsed, new: ClosureUsed) -> Dimension:
    outside = [name for name, used in (("the run", old), ("the rerun", new)) if used.kind == "none"]
    if outside:
        return Dimension("closure", "unknown", f"{' and '.join(outside)} happened outside of a closure")
    if old.content_id == new.content_id:
        same = old.closure_id == new.closure_id
        return Dimension("closure", "same", "" if same else "another recipe, the same bits")
    if old.closure_id == new.closure_id:
        contents = f"content {old.content_id} then, {new.content_id} now"
        return Dimension("closure", "differs", f"one recipe {old.closure_id} gave other bytes: {contents}")
    return Dimension("closure", "differs", f"{old.closure_id} then, {new.closure_id} now")


def _seed(old: Record, new: Record) -> Dimension:
    if old.seed == new.seed:
        return Dimension("seed", "same")
    then, now = (
        f"seed {seed.value}, hash seed {seed.hash_seed}, applied to {'+'.join(seed.applied) or 'nothing'}"
        for seed in (old.seed, new.seed)
    )
    return Dimension("seed", "differs", f"{then} then; {now} now")


def _numerics(old: Record, new: Record) -> Dimension:
    then, now = (
        {"python": record.python}
        | record.numerics
        | {f"env.{name}": item.value for name, item in record.environment.items()}
        for record in (old, new)
    )
    changed = [
        f"{key} {then.get(key, 'unset')} then, {now.get(key, 'unset')} now"
        for key in sorted((set(then) | set(now)) - NOT_NUMERICS)
        if then.get(key) != now.get(key)
    ]
    return Dimension("numerics", "differs", _some(changed)) if changed else Dimension("numerics", "same")


def _arguments(old: Record, new: Record, root: str) -> Dimension:
    then, now = (
        [record.entry.name, *(homeward(word, root) for word in record.entry.arguments)] for record in (old, new)
    )
    if then == now:
        return Dimension("arguments", "same")
    return Dimension("arguments", "differs", f"{then} then, {now} now")
