"""Records, plans and verdicts as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from samebits.capture import printable
from samebits.rerun.compare import EXCLUSIONS, NOT_COMPARED

if TYPE_CHECKING:
    from samebits.record import Record
    from samebits.rerun.plan import Plan
    from samebits.rerun.repetition import Outcome

LISTED = 10


def record(run_id: str, shown: Record) -> str:
    """The record of a run, one line a fact."""
    code, closure, seed = shown.code, shown.closure, shown.seed
    lines = [
        f"run       {run_id} ({shown.run.status}, number {shown.run.ordinal} of session {shown.run.session})",
        f"command   {safe(printable(shown.entry.typed or shown.entry.python))}",
        f"entry     {shown.entry.kind} {safe(shown.entry.name)}, in "
        f"{safe(shown.entry.cwd) if shown.entry.cwd is not None else 'a folder outside of a repository'}",
        f"commit    {code.commit}" + (f" ({code.reason})" if code.reason else "")
        + (f", {code.changed_total} changed from {code.head}" if code.commit == "dirty" else ""),
        *(f"          {safe(line)}" for line in code.changed[:LISTED]),
        *([f"          … {code.changed_total - LISTED} more"] if code.changed_total > LISTED else []),
        f"closure   {closure.closure_id or 'none: ' + str(closure.reason)}",
        *([f"content   {closure.content_id}", f"workspace {closure.name} for {closure.system}"]
          if closure.kind != "none" else []),
        *([f"image     {closure.image}"] if closure.image else []),
        *([f"flake     {closure.flake}"] if closure.flake else []),
        f"seed      {'none' if seed.value is None else f'{seed.value} (by {seed.by})'}, hash seed {seed.hash_seed}"
        + "".join(f", {name} at {when}" for name, when in sorted(seed.applied.items())),
        *(f"data      {safe(item.name)}: {safe(item.path)} sha256:{item.sha256} ({item.size} bytes in {item.files} "
          f"{'file' if item.files == 1 else 'files'})" for item in shown.datasets),
        f"python    {shown.python}, samebits {shown.samebits}",
        *(f"variable  {name}={safe(item.value)} (by {item.by})" for name, item in shown.environment.items()),
        *(f"numerics  {name}: {safe(value)}" for name, value in sorted(shown.numerics.items())),
        f"modules   {shown.modules.repository} from the repository, {len(shown.modules.outside)} from elsewhere",
        *(f"          {safe(path)}" for path in shown.modules.outside[:LISTED]),
        *(f"not recorded: {safe(line)}" for line in shown.not_recorded),
        *(f"not checked:  {safe(line)}" for line in shown.not_checked),
    ]
    return "\n".join(lines)


def plan(shown: Plan, *, twice: bool) -> str:
    """What a rerun would do, or why it cannot."""
    data = plan_data(shown, twice=twice)
    lines = [
        f"rerun of  {shown.run_id}",
        f"code      {data['code']}",
        f"command   {safe(printable(shown.command))}",
        f"in        {safe(shown.cwd)}",
        *(f"variable  {name}={safe(value)}" for name, value in sorted(shown.variables.items())),
        *(f"data      {safe(item.dataset.path)} sha256:{item.dataset.sha256}, put at the same place"
          for item in shown.placements),
        f"closure   {data['closure']}",
        f"times     {data['times']}",
        "effects   what the program does outside its worktree it does again, such as registering a model",
        *(f"note      {safe(note)}" for note in shown.notes),
        *(f"refused   {dimension}: {safe(reason)}" for dimension, reason in shown.refusals),
    ]
    return "\n".join(lines)


def plan_data(shown: Plan, *, twice: bool) -> dict[str, Any]:
    """The plan as plain data."""
    commit = shown.record.code.commit
    return {
        "version": 1,
        "run": shown.run_id,
        "repository": shown.root,
        "code": "the tree as it is here" if "code" in shown.here else f"a fresh worktree at {commit}",
        "here": sorted(shown.here),
        "command": shown.command,
        "cwd": shown.cwd,
        "variables": shown.variables,
        "unset": shown.unset,
        "data": [{"path": item.dataset.path, "sha256": item.dataset.sha256} for item in shown.placements],
        "closure": shown.closure.closure_id or f"none: {shown.closure.reason}",
        "times": 2 if twice else 1,
        "notes": shown.notes,
        "refusals": [{"dimension": dimension, "reason": reason} for dimension, reason in shown.refusals],
    }


def outcome(shown: Outcome) -> str:
    """The verdict, its evidence, and last the sentence people read first."""
    lines: list[str] = []
    if shown.comparison is not None:
        lines += [f"same      {one.name}" + (f" ({safe(one.detail)})" if one.detail else "")
                  for one in shown.dimensions if one.state == "same"]
        lines += [f"{one.state:<9} {one.name}: {safe(one.detail)}" for one in shown.dimensions if one.state != "same"]
        for metric in shown.comparison.metrics[:LISTED]:
            lines.append(f"metric    {safe(metric.key)} at step {metric.step}: {metric.old!r} then, {metric.new!r} now"
                         + (f", {metric.ulps} ulp" if metric.ulps is not None else ""))
        for kind, differences in (("param", shown.comparison.params), ("file", shown.comparison.files)):
            lines += [f"{kind:<9} {safe(one.name)}: {safe(str(one.old))} then, {safe(str(one.new))} now"
                      for one in differences[:LISTED]]
        lines += [f"left out  {line}" for line in EXCLUSIONS]
        lines += [f"not compared: {line}" for line in NOT_COMPARED]
    lines += [f"not checked:  {safe(line)}" for line in shown.not_checked]
    lines += [f"note      {safe(note)}" for note in shown.verdict.notes]
    lines += [f"rerun     {run_id}" for run_id in shown.reruns]
    lines.append(f"{shown.verdict.word}: {safe(shown.verdict.sentence)}")
    return "\n".join(lines)


def safe(text: str) -> str:
    """Recorded text for a terminal: control characters, escapes and bytes that are not UTF-8 are spelt out."""
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode()
                   for character in text)
