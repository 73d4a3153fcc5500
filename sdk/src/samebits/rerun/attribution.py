"""Which recorded dimensions are the same in two records, which differ, and which nobody can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebits import datasets

if TYPE_CHECKING:
    from samebits.record import ClosureUsed, Record

SHOWN = 3


@dataclass(frozen=True)
class Dimension:
    """One dimension: state `same`, `differs` or `unknown`, and in words what differs or is missing."""

    name: str
    state: str
    detail: str = ""


def dimensions(old: Record, new: Record, root: str) -> list[Dimension]:
    """Compare all that both records know; `root` is the user's tree, from which a rerun must load no code."""
    return [_code(old, new, root), _data(old, new), _closure(old.closure, new.closure), _seed(old, new),
            _numerics(old, new), _command(old, new)]


def _code(old: Record, new: Record, root: str) -> Dimension:
    if new.code.commit == "dirty" or old.code.commit == "dirty":
        which = [name for name, record in (("the run", old), ("the rerun", new)) if record.code.commit == "dirty"]
        if old.code.head != new.code.head:
            return Dimension("code", "differs", f"commit {old.code.head} then, {new.code.head} now, and the tree of "
                                                f"{' and '.join(which)} was dirty")
        if len(which) == 1:
            changed = ", ".join((new if which[0] == "the rerun" else old).code.changed[:SHOWN])
            return Dimension("code", "differs", f"same commit, but the tree of {which[0]} was dirty ({changed})")
        return Dimension("code", "unknown", "both trees were dirty, and the content of a dirty tree is not recorded")
    if "none" in {old.code.commit, new.code.commit}:
        return Dimension("code", "unknown", "no commit was recorded")
    if old.code.commit != new.code.commit:
        return Dimension("code", "differs", f"commit {old.code.commit} then, {new.code.commit} now")
    if stray := [path for path in new.modules.outside if datasets.is_under(path, root)]:
        return Dimension("code", "unknown", f"the rerun loaded {stray[0]} from your tree instead of its worktree (is "
                                            "the project installed in editable mode?)")
    if new.modules.repository == 0:
        return Dimension("code", "unknown", "the rerun loaded no module from its worktree: the program is installed "
                                            "elsewhere, and that code is not recorded")
    return Dimension("code", "same")


def _data(old: Record, new: Record) -> Dimension:
    then, now = ({(item.name, item.path): item.sha256 for item in record.datasets} for record in (old, new))
    changed = [f"dataset {name!r} was {_digest(then.get((name, path)))}, is {_digest(now.get((name, path)))}"
               for name, path in sorted(set(then) | set(now)) if then.get((name, path)) != now.get((name, path))]
    return Dimension("data", "differs", "; ".join(changed[:SHOWN])) if changed else Dimension("data", "same")


def _digest(sha256: str | None) -> str:
    return f"sha256:{sha256[:12]}…" if sha256 else "not read"


def _closure(old: ClosureUsed, new: ClosureUsed) -> Dimension:
    if "none" in {old.kind, new.kind}:
        if old.kind == new.kind:
            return Dimension("closure", "unknown", "neither run was inside a closure")
        return Dimension("closure", "unknown", f"the {'run' if old.kind == 'none' else 'rerun'} was not inside a "
                                               "closure")
    if old.closure_id == new.closure_id and old.content_id != new.content_id:
        return Dimension("closure", "differs", f"the same recipe {old.closure_id} gave other bytes: content "
                                               f"{old.content_id} then, {new.content_id} now")
    if old.content_id == new.content_id:
        detail = "" if old.closure_id == new.closure_id else "another recipe, the same bits"
        return Dimension("closure", "same", detail)
    return Dimension("closure", "differs", f"{old.closure_id} then, {new.closure_id} now")


def _seed(old: Record, new: Record) -> Dimension:
    then, now = ((record.seed.value, record.seed.hash_seed, record.seed.applied) for record in (old, new))
    if then == now:
        return Dimension("seed", "same")
    return Dimension("seed", "differs", f"seed {then[0]}, hash seed {then[1]}, applied to {_names(then[2])} then; "
                                        f"{now[0]}, {now[1]}, {_names(now[2])} now")


def _names(applied: dict[str, str]) -> str:
    return "+".join(sorted(applied)) or "nothing"


def _numerics(old: Record, new: Record) -> Dimension:
    then = old.numerics | {f"env.{name}": item.value for name, item in old.environment.items()}
    now = new.numerics | {f"env.{name}": item.value for name, item in new.environment.items()}
    then["python"], now["python"] = old.python, new.python
    ignored = {"env.PYTHONPATH", "env.SAMEBITS_SEED", "env.PYTHONHASHSEED"}  # code and seed, told above
    changed = [f"{key} {then.get(key, 'unset')} then, {now.get(key, 'unset')} now"
               for key in sorted((set(then) | set(now)) - ignored) if then.get(key) != now.get(key)]
    if not changed:
        return Dimension("numerics", "same")
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return Dimension("numerics", "differs", "; ".join(changed[:SHOWN]) + more)


def _command(old: Record, new: Record) -> Dimension:
    if old.entry.arguments == new.entry.arguments and old.entry.name == new.entry.name:
        return Dimension("arguments", "same")
    return Dimension("arguments", "differs", f"{old.entry.name} {old.entry.arguments} then, {new.entry.name} "
                                             f"{new.entry.arguments} now")
