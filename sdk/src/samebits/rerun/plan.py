"""What a rerun will do, computed once: `--dry-run` prints this plan, execution carries out the same one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from samebits import capture, datasets, handover, repository
from samebits.errors import DatasetError, RecordError, RepositoryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from samebits.record import ClosureUsed, Dataset, Record

DIMENSIONS = ("code", "data", "closure")
COPY_BYTES = 1024**3


@dataclass(frozen=True)
class Placement:
    """One dataset to put into the worktree: from the user's tree, at the same relative path."""

    dataset: Dataset
    source: str


@dataclass(frozen=True)
class Plan:
    """A rerun, ready to be carried out unless there are `refusals`: (dimension, reason) pairs."""

    run_id: str
    root: str
    record: Record
    here: frozenset[str]
    command: list[str]
    cwd: str
    variables: dict[str, str]
    unset: list[str]
    placements: list[Placement]
    closure: ClosureUsed
    refusals: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make(run_id: str, record: Record, where: str, here: frozenset[str], environ: Mapping[str, str]) -> Plan:
    """Plan the rerun of `record` from the repository around `where`.

    What only makes a verdict impossible is a refusal within the plan; RepositoryError means the commit cannot be had
    at all, RecordError that the record must not be executed.
    """
    root = repository.find_root(where)
    refusals, notes = _code(record, root, here)
    command = _command(record)
    if record.entry.kind in {"notebook", "interactive"}:
        refusals.append(("code", f"the run came from {_a(record.entry.kind)} session, whose text was not recorded"))
    if record.run.status != "FINISHED":
        refusals.append(("run", f"the run ended as {record.run.status}, so what it left is not a whole result"))
    variables, unset = _environment(record, root, refusals)
    present = capture.used_closure(environ)
    if reason := _closure_refusal(run_id, record.closure, present):
        (notes if "closure" in here or record.closure.kind == "none" else refusals).append(("closure", reason))
    placements = _place(record, root, here, refusals)
    if not record.datasets:
        notes.append(("data", "the run declared no dataset; data it reads otherwise is not checked"))
    return Plan(run_id, root, record, here, command, record.entry.cwd or ".", variables, unset, placements, present,
                refusals, [f"{dimension}: {text}" for dimension, text in notes])


def _a(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


Reasons = list[tuple[str, str]]


def _code(record: Record, root: str, here: frozenset[str]) -> tuple[Reasons, Reasons]:
    code = record.code
    if "code" in here:
        return [], [("code", "the tree as it is here is executed, not the recorded one")]
    if code.commit == "none":
        return [("code", f"no commit was recorded ({code.reason}); `--here code` executes the tree as it is here")], []
    if code.commit == "dirty":
        files = ", ".join(code.changed[:5]) + (", …" if code.changed_total > 5 else "")
        return [("code", f"the tree was dirty ({code.changed_total} changed: {files}) and this version keeps no "
                         "snapshot of it; `--here code` executes the tree as it is here")], []
    if not repository.has_commit(root, code.commit):
        elsewhere = code.repository and not any(repository.has_commit(root, commit) for commit in code.repository)
        hint = ("That run belongs to another repository: its first commit is not here either. Change into its "
                "repository." if elsewhere else
                "It may have been rebased away or never pushed: fetch the branch that holds it, or recover it from the "
                "clone the run was made in.")
        raise RepositoryError(f"Commit {code.commit} of the run is not in the repository {root}. {hint} `--here code` "
                              "executes the tree as it is here instead, without a verdict on the recorded code.")
    if repository.has_submodules(root, code.commit):
        return [("code", "the commit has submodules, which this version does not fill in")], []
    return [], []


def _command(record: Record) -> list[str]:
    command = list(record.entry.typed or record.entry.python)
    if not command or not command[0]:
        raise RecordError("The record holds no command to repeat. It was not written by samebits; nothing is executed.")
    return command


def _environment(record: Record, root: str, refusals: Reasons) -> tuple[dict[str, str], list[str]]:
    if odd := sorted(set(record.environment) - handover.ALLOWED):
        raise RecordError(f"The record sets the environment variable {odd[0]!r}, which samebits never records. It was "
                          "edited; nothing is executed from it.")
    variables = {name: variable.value for name, variable in record.environment.items()}
    path = variables.get("PYTHONPATH")
    if path is not None:
        entries = [entry for entry in path.split(os.pathsep) if entry]
        if outside := [entry for entry in entries if os.path.isabs(entry) and not datasets.is_under(entry, root)]:
            refusals.append(("code", f"PYTHONPATH named {outside[0]}, outside of the repository: the code there was "
                                     "not recorded"))
    return variables, sorted(handover.ALLOWED - set(variables))


def _closure_refusal(run_id: str, recorded: ClosureUsed, present: ClosureUsed) -> str | None:
    if recorded.kind == "none":
        return f"the run recorded no closure: {recorded.reason}"
    if recorded.closure_id == present.closure_id or recorded.content_id == present.content_id:
        return None
    is_here = present.closure_id or f"none ({present.reason})"
    enter = (f'enter the recorded one with `nix run "{recorded.flake}" -- samebits rerun {run_id}`' if recorded.flake
             else f"enter the workspace {recorded.name} with that closure (the run recorded no flake reference)")
    return (f"the run's closure is {recorded.closure_id}, here it is {is_here}; {enter}, or pass `--here closure` to "
            "execute in the present one")


def _place(record: Record, root: str, here: frozenset[str], refusals: Reasons) -> list[Placement]:
    placements = []
    for recorded in record.datasets:
        source = os.path.join(root, recorded.path) if recorded.in_repository else recorded.path
        commit = record.code.commit
        tracked = (recorded.in_repository and "code" not in here and commit not in {"dirty", "none"}
                   and repository.has_commit(root, commit) and repository.is_tracked(root, commit, recorded.path))
        if tracked:
            continue  # comes with the commit, and the rerun's own record says what it was
        try:
            found = datasets.measure(source, recorded.name, root)
        except DatasetError as error:
            refusals.append(("data", f"dataset {recorded.name!r} is not here: {error}"))
            continue
        if found.sha256 != recorded.sha256 and "data" not in here:
            refusals.append(("data", f"dataset {recorded.name!r} ({recorded.path}) has changed: sha256 "
                                     f"{recorded.sha256} was recorded, here it is {found.sha256}; restore it, or pass "
                                     "`--here data` to use it as it is"))
        if recorded.in_repository and "code" not in here:
            placements.append(Placement(found, source))
    return placements
