"""What a rerun will do, computed once: `--dry-run` prints this plan, execution carries out the same one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from samebits import capture, datasets, handover, repository, snapshot
from samebits.errors import DatasetError, RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from samebits.record import ClosureUsed, Code, Dataset, Record

SHOWN = 5


@dataclass(frozen=True)
class Reason:
    """Why a rerun cannot be as recorded, or what to know about it, and which dimension that concerns."""

    dimension: str
    text: str


@dataclass(frozen=True)
class Placement:
    """One dataset to put into the worktree: from the user's tree, at the same relative path."""

    dataset: Dataset
    source: str


@dataclass(frozen=True)
class Plan:
    """A rerun, ready to be carried out unless there are `refusals`."""

    run_id: str
    root: str
    record: Record
    here: frozenset[str]
    command: list[str]
    cwd: str
    variables: dict[str, str]
    placements: list[Placement]
    closure: ClosureUsed
    refusals: list[Reason] = field(default_factory=list)
    notes: list[Reason] = field(default_factory=list)


def make(run_id: str, record: Record, where: str, here: frozenset[str], environ: Mapping[str, str]) -> Plan:
    """Plan the rerun of `record` from the repository around `where`.

    What only makes a verdict impossible is a refusal within the plan; RepositoryError means the commit cannot
    be had at all, RecordError that the record must not be executed.
    """
    root = repository.find_root(where)
    plan = Plan(
        run_id=run_id,
        root=root,
        record=record,
        here=here,
        command=_command(record),
        cwd=record.entry.cwd or ".",
        variables=_variables(record),
        placements=[],
        closure=capture.used_closure(environ),
    )
    _plan_code(plan)
    _plan_program(plan)
    _plan_closure(plan)
    _plan_data(plan)
    return plan


def _command(record: Record) -> list[str]:
    command = list(record.entry.typed or record.entry.python)
    if not command or not command[0]:
        raise RecordError(
            "The record holds no command to repeat, so it was not written by samebits; nothing is executed. "
            "Repeat the run by hand under `samebits exec`."
        )
    return command


def _variables(record: Record) -> dict[str, str]:
    if odd := sorted(set(record.environment) - handover.ALLOWED):
        raise RecordError(
            f"The record sets the environment variable {odd[0]!r}, which samebits never records: it was "
            "edited, and nothing is executed from it. Repeat the run by hand under `samebits exec`."
        )
    return {name: variable.value for name, variable in record.environment.items()}


def _plan_code(plan: Plan) -> None:
    code = plan.record.code
    or_here = "`--here code` executes the tree as it is here"
    if "code" in plan.here:
        plan.notes.append(Reason("code", "the tree as it is here is executed, not the recorded one"))
    elif code.executable == "none":
        plan.refusals.append(Reason("code", f"no commit was recorded ({code.reason}); {or_here}"))
    elif code.executable == "dirty":
        text = f"the tree was dirty ({_changed(code)}), and its content was not kept"
        why = next((line for line in plan.record.not_recorded if line.startswith(snapshot.CONTENT)), "")
        plan.refusals.append(Reason("code", f"{text}; {why + '; ' if why else ''}{or_here}"))
    else:
        repository.require_commit(plan.root, code.executable, code.repository)
        if repository.has_submodules(plan.root, code.executable):
            text = "the commit has submodules, which this version does not fill in"
            plan.refusals.append(Reason("code", f"{text}; {or_here}"))
        if code.snapshot:
            text = f"the tree was dirty ({_changed(code)}): its snapshot is executed, on top of {code.head}"
            plan.notes.append(Reason("code", text))
        present = repository.read_state(plan.root)
        if present.commit != code.commit or code.snapshot:
            text = f"your tree is {present.commit}, which plays no part: the recorded commit is executed"
            plan.notes.append(Reason("code", f"{text} (`--here code` executes your tree)"))


def _changed(code: Code) -> str:
    more = ", …" if code.changed_total > SHOWN else ""
    return f"{code.changed_total} changed: {', '.join(code.changed[:SHOWN])}{more}"


def _plan_program(plan: Plan) -> None:
    entry, status = plan.record.entry, plan.record.run.status
    if entry.kind in {"notebook", "interactive"}:
        plan.refusals.append(Reason("code", f"the program's text was not recorded (it was {entry.kind})"))
    if status != "FINISHED":
        plan.refusals.append(Reason("run", f"the run ended as {status}: what it left is no whole result"))
    for part in plan.variables.get("PYTHONPATH", "").split(os.pathsep):
        if os.path.isabs(part) and not datasets.is_under(part, plan.root) and "code" not in plan.here:
            text = f"PYTHONPATH named {part}, outside of the repository, and the code there was not recorded"
            plan.refusals.append(Reason("code", text))
    if plan.record.modules.outside and "code" not in plan.here:
        text = f"the run loaded {plan.record.modules.outside[0]}, which is not in the repository, as it is here"
        plan.notes.append(Reason("code", f"{text} ({len(plan.record.modules.outside)} such modules)"))


def _plan_closure(plan: Plan) -> None:
    recorded, present = plan.record.closure, plan.closure
    if recorded.kind == "none":
        plan.notes.append(Reason("closure", f"the run recorded none: {recorded.reason}"))
        return
    if recorded.content_id == present.content_id:
        return
    if recorded.closure_id == present.closure_id:
        contents = f"content {recorded.content_id} then, {present.content_id} here"
        text = f"the recipe {recorded.closure_id} gave {contents}"
        action = "rebuild the workspace and look for what is not deterministic in it"
    else:
        here = present.closure_id or f"none ({present.reason})"
        text = f"the run's closure is {recorded.closure_id}, here it is {here}"
        action = f"enter the workspace {recorded.name} of then (no flake reference was recorded)"
        if recorded.flake:
            action = f'enter it with `nix run "{recorded.flake}" -- samebits rerun {plan.run_id}`'
    if "closure" in plan.here:
        plan.notes.append(Reason("closure", text))
    else:
        text = f"{text}; {action}, or pass `--here closure` to execute in the present one"
        plan.refusals.append(Reason("closure", text))


def _plan_data(plan: Plan) -> None:
    if not plan.record.datasets:
        text = "the run declared no dataset; data that it read otherwise is not checked"
        plan.notes.append(Reason("data", text))
    for recorded in plan.record.datasets:
        if "data" not in plan.here and _comes_with_commit(plan, recorded):
            continue
        source = os.path.join(plan.root, recorded.path) if recorded.in_repository else recorded.path
        try:
            found = datasets.measure(source, recorded.name, plan.root)
        except DatasetError as error:
            plan.refusals.append(Reason("data", f"dataset {recorded.name!r} is not here: {error}"))
            continue
        if found.sha256 != recorded.sha256 and "data" not in plan.here:
            text = f"dataset {recorded.name!r} ({recorded.path}) had sha256 {recorded.sha256}"
            text = f"{text}, here it has {found.sha256}; restore it, or pass `--here data` to take it as it is"
            plan.refusals.append(Reason("data", text))
        if recorded.in_repository and "code" not in plan.here:
            plan.placements.append(Placement(found, source))


def _comes_with_commit(plan: Plan, recorded: Dataset) -> bool:
    """Whether the worktree will hold the dataset by itself; what it was, the rerun's own record says."""
    commit = plan.record.code.executable
    if not recorded.in_repository or "code" in plan.here or commit in {"dirty", "none"}:
        return False
    return repository.count_files(plan.root, commit, recorded.path) == recorded.files
