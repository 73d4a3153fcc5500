"""`show` and `rerun`: read a run from the store, act, print for people or as JSON."""

from __future__ import annotations

import json
import os
import sys

from samebits import report, repository, snapshot
from samebits.record import to_bytes
from samebits.rerun import plan as planning
from samebits.rerun import repetition, verdict
from samebits.store import Store


def show(prefix: str, *, as_json: bool) -> int:
    """Print the record of one run."""
    store = Store()
    run = store.find(prefix)
    record = store.read_record(run)
    if as_json:
        sys.stdout.write(to_bytes(record).decode("ascii"))
    else:
        print(report.record(run.run_id, record))
    return 0


def rerun(prefix: str, *, here: frozenset[str], dry_run: bool, as_json: bool, twice: bool) -> int:
    """Plan, and unless `dry_run` carry out the plan; returns the verdict's exit code."""
    environ = dict(os.environ)  # before Store() adds what suits this command, not the program
    store = Store()
    run = store.find(prefix)
    record = store.read_record(run)
    restored = record.code.snapshot
    if restored and record.code.head and "code" not in here:
        root = repository.find_root(os.getcwd())
        repository.require_commit(root, record.code.head, record.code.repository)
        snapshot.restore(root, record.code.head, restored, store.read_pack(run, restored))
    plan = planning.make(run.run_id, record, os.getcwd(), here, environ)
    if dry_run:
        print(json.dumps(report.plan_data(plan, twice=twice), indent=1) if as_json else report.plan(plan, twice=twice))
        return verdict.EXIT["INCONCLUSIVE"] if plan.refusals else 0
    print(report.plan(plan, twice=twice), file=sys.stderr)
    outcome = repetition.repeat(plan, store, run, environ, twice=twice)
    print(json.dumps(outcome.to_data(), indent=1) if as_json else report.outcome(outcome))
    return outcome.verdict.exit_code
