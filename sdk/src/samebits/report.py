"""Records, plans and verdicts as text for people; recorded text cannot drive their terminal."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from samebits.rerun.compare import EXCLUSIONS, NOT_COMPARED

if TYPE_CHECKING:
    from samebits.record import Code, Record
    from samebits.rerun.plan import Plan
    from samebits.rerun.repetition import Outcome

LISTED = 10


def record(run_id: str, shown: Record) -> str:
    """The record of a run, one line a fact."""
    run, entry, closure, seed = shown.run, shown.entry, shown.closure, shown.seed
    applied = "".join(f", {name} at {when}" for name, when in sorted(seed.applied.items()))
    lines = [
        f"run       {run_id} ({run.status}, number {run.ordinal} of session {run.session})",
        *([f"rerun of  {run.rerun_of}"] if run.rerun_of else []),
        f"command   {shlex.join(entry.typed or entry.python)}",
        f"entry     {entry.kind} {entry.name}, in {entry.cwd or 'a folder outside of a repository'}",
        *_code(shown.code),
        f"closure   {closure.closure_id or f'none: {closure.reason}'}",
    ]
    if closure.kind != "none":
        lines += [f"content   {closure.content_id}", f"workspace {closure.name} for {closure.system}"]
    lines += [f"{name:<9} {value}" for name, value in (("image", closure.image), ("flake", closure.flake)) if value]
    value = "none" if seed.value is None else f"{seed.value} (by {seed.by})"
    lines.append(f"seed      {value}, hash seed {seed.hash_seed}{applied}")
    for data in shown.datasets:
        size = f"{data.size} bytes in {data.files} file{'' if data.files == 1 else 's'}"
        lines.append(f"data      {data.name}: {data.path} sha256:{data.sha256} ({size})")
    lines += [
        f"python    {shown.python}, samebits {shown.samebits}",
        *(f"variable  {name}={item.value} (by {item.by})" for name, item in shown.environment.items()),
        *(f"numerics  {name}: {value}" for name, value in sorted(shown.numerics.items())),
        f"modules   {shown.modules.repository} from the repository, {len(shown.modules.outside)} others",
        *(f"          {path}" for path in shown.modules.outside[:LISTED]),
        *(f"not recorded: {line}" for line in shown.not_recorded),
        *(f"not checked:  {line}" for line in shown.not_checked),
    ]
    return _text(lines)


def _code(code: Code) -> list[str]:
    if code.commit != "dirty":
        return [f"commit    {code.commit}" + (f" ({code.reason})" if code.reason else "")]
    lines = [f"commit    dirty: {code.changed_total} changed from {code.head}"]
    lines += [f"          {line}" for line in code.changed[:LISTED]]
    more = code.changed_total - len(code.changed[:LISTED])
    lines += [f"          and {more} more"] if more else []
    kept = code.snapshot
    return lines + ([f"snapshot  {kept.commit} ({kept.files} files, {kept.size} bytes packed)"] if kept else [])


def plan(shown: Plan, *, twice: bool) -> str:
    """What a rerun would do, or why it cannot."""
    data = plan_data(shown, twice=twice)
    return _text(
        [
            f"rerun of  {shown.run_id}",
            f"code      {data['code']}",
            f"command   {shlex.join(shown.command)}",
            f"in        {shown.cwd}",
            *(f"variable  {name}={value}" for name, value in sorted(shown.variables.items())),
            *(f"data      {item['path']} sha256:{item['sha256']}, put at the same place" for item in data["data"]),
            f"closure   {data['closure']}",
            f"times     {data['times']}",
            "effects   what the program does outside its worktree it does again, such as registering a model",
            *(f"note      {note.dimension}: {note.text}" for note in shown.notes),
            *(f"refused   {one.dimension}: {one.text}" for one in shown.refusals),
        ]
    )


def plan_data(shown: Plan, *, twice: bool) -> dict[str, Any]:
    """The plan as plain data."""
    worktree = f"a fresh worktree at {shown.record.code.executable}"
    return {
        "version": 1,
        "run": shown.run_id,
        "repository": shown.root,
        "code": "the tree as it is here" if "code" in shown.here else worktree,
        "here": sorted(shown.here),
        "command": shown.command,
        "cwd": shown.cwd,
        "variables": shown.variables,
        "data": [{"path": item.dataset.path, "sha256": item.dataset.sha256} for item in shown.placements],
        "closure": shown.closure.closure_id or f"none: {shown.closure.reason}",
        "times": 2 if twice else 1,
        "notes": [{"dimension": one.dimension, "text": one.text} for one in shown.notes],
        "refusals": [{"dimension": one.dimension, "text": one.text} for one in shown.refusals],
    }


def outcome(shown: Outcome) -> str:
    """The evidence, what was left out of it, and last the verdict, so that it is what stays on the screen."""
    lines: list[str] = []
    if shown.comparison is not None:
        lines += [f"{one.state:<9} {one.name}" + (f": {one.detail}" if one.detail else "") for one in shown.dimensions]
        for metric in shown.comparison.metrics[:LISTED]:
            distance = f", {metric.ulps} ulp" if metric.ulps is not None else ""
            values = f"{metric.old!r} then, {metric.new!r} now{distance}"
            lines.append(f"metric    {metric.key} at step {metric.step}: {values}")
        for kind, differences in (("param", shown.comparison.params), ("file", shown.comparison.files)):
            lines += [f"{kind:<9} {one.name}: {one.old} then, {one.new} now" for one in differences[:LISTED]]
        lines += [f"but for what is left out: {path}" for path in shown.comparison.files_but_for]
        lines += [f"left out: {line}" for line in EXCLUSIONS]
        lines += [f"not compared: {line}" for line in NOT_COMPARED]
    lines += [
        *(f"not recorded: {line}" for line in shown.not_recorded),
        *(f"not checked:  {line}" for line in shown.not_checked),
        *(f"note      {note}" for note in shown.verdict.notes),
        *(f"rerun     {run_id}" for run_id in shown.reruns),
        f"{shown.verdict.word}: {shown.verdict.sentence}",
    ]
    return _text(lines)


def _text(lines: list[str]) -> str:
    return "\n".join(map(printable, lines))


def printable(line: str) -> str:
    """One line for a terminal: control characters, escapes and bytes that are not UTF-8 are spelt out."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in line
    )
