"""Carry out a plan once: the recorded command, in its worktree, with its environment, watched to its end."""

from __future__ import annotations

import collections
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING

from samebits import datasets, handover
from samebits.errors import RerunError
from samebits.rerun import worktree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import FrameType

    from samebits.rerun.plan import Plan
    from samebits.store import Store, StoredRun

LAST_LINES = 15
LAST_WORDS_SECONDS = 5.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DROPPED = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", handover.START)


def execute(plan: Plan, store: Store, original: StoredRun, environ: Mapping[str, str]) -> StoredRun:
    """Repeat the run and return the new one; RerunError when the program fails or makes no such run.

    Everything the program prints goes to standard error. On a signal the program and all its children end,
    and the worktree goes, before this process exits.
    """
    with _signals_raise():
        if "code" in plan.here:
            return _run_in(plan, plan.root, store, original, environ)
        with worktree.checked_out(plan.root, plan.record.code.executable, plan.placements) as folder:
            return _run_in(plan, folder, store, original, environ)


def _run_in(plan: Plan, folder: str, store: Store, original: StoredRun, environ: Mapping[str, str]) -> StoredRun:
    cwd = os.path.join(folder, plan.cwd)
    if not os.path.isdir(cwd) or not datasets.is_under(os.path.realpath(cwd), os.path.realpath(folder)):
        raise RerunError(
            f"The recorded working directory {plan.cwd} is not in the tree to execute, so nothing was "
            "executed. Start the program from a folder that git knows, and record it anew."
        )
    token = secrets.token_hex(16)
    command = [relocated(word, plan.root, folder) for word in plan.command]
    command[0] = _program(command[0], cwd, plan)
    prepared = environment(plan, folder, environ) | {
        handover.RERUN_TOKEN: token,
        handover.RERUN_OF: plan.run_id,
        "MLFLOW_TRACKING_URI": store.uri,
        "MLFLOW_EXPERIMENT_ID": original.experiment_id,
    }
    ours = sorted(name for name, variable in plan.record.environment.items() if variable.by == "samebits")
    prepared[handover.START] = handover.encode(handover.start(plan.command, cwd, ours, spawned=True))
    status, last = _watch(command, cwd, prepared)
    if status != 0:
        ended = f"exit status {status}" if status > 0 else f"signal {signal.Signals(-status).name}"
        raise RerunError(
            f"The repeated program failed ({ended}) although the recorded run had finished, so there is "
            "nothing to compare. Often a file it needs is neither in the commit nor named with "
            "samebits.dataset(). Its last lines:\n" + "\n".join(f"    {line}" for line in last)
        )
    run = _chosen(store.with_token(token), plan)
    if folder != plan.root and datasets.is_under(run.artifact_uri.removeprefix("file://"), folder):
        raise RerunError(
            "The repeated program logged its files into the worktree, which is gone now, because its MLflow "
            "experiment was made there. Make the experiment first, in your own tree or with an artifact "
            "location."
        )
    return run


def environment(plan: Plan, folder: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The present environment with every allow-listed variable as recorded, also those that were not set."""
    dropped = {*handover.ALLOWED, *DROPPED}
    prepared = {name: value for name, value in environ.items() if name not in dropped} | plan.variables
    if "PYTHONPATH" in plan.variables:
        parts = plan.variables["PYTHONPATH"].split(os.pathsep)
        prepared["PYTHONPATH"] = os.pathsep.join(relocated(part, plan.root, folder) for part in parts)
    return prepared


def relocated(word: str, root: str, folder: str) -> str:
    """A word of a command in which a path to a file of the repository names the worktree's file instead.

    Understood are `/path` and `--option=/path`; what the worktree does not have stays as it is.
    """
    option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
    if folder == root or not datasets.is_under(value, root):
        return word
    moved = folder + value.removeprefix(root)
    return option + equals + moved if os.path.exists(moved) else word


def _program(word: str, cwd: str, plan: Plan) -> str:
    """A relative program that git does not keep, such as `.venv/bin/python`, is the user's tree's own."""
    if "/" not in word or os.path.isabs(word) or os.path.exists(os.path.join(cwd, word)):
        return word
    return os.path.join(plan.root, plan.cwd, word)


def _watch(command: list[str], cwd: str, prepared: dict[str, str]) -> tuple[int, list[str]]:
    last: collections.deque[str] = collections.deque(maxlen=LAST_LINES)
    try:
        child = subprocess.Popen(
            command,
            cwd=cwd,
            env=prepared,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise RerunError(
            f"The recorded command {command[0]!r} could not be started ({error.strerror}). Install it, or "
            "enter the environment the run was made in."
        ) from error
    reader = threading.Thread(target=_pass_on, args=(child.stdout, last), daemon=True)
    reader.start()
    try:
        status = child.wait()
    finally:
        # Also what the program left running: it must not write into a worktree that is about to go.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    reader.join(timeout=LAST_WORDS_SECONDS)
    return status, list(last)


def _pass_on(stream: IO[bytes], last: collections.deque[str]) -> None:
    for line in stream:
        text = line.decode(errors="replace").rstrip("\n")
        last.append(text)
        print(text, file=sys.stderr, flush=True)


def _chosen(runs: list[StoredRun], plan: Plan) -> StoredRun:
    wanted = str(plan.record.run.ordinal)
    found = [run for run in runs if run.tags.get("samebits.ordinal") == wanted]
    if len(found) == 1:
        return found[0]
    if not runs:
        raise RerunError(
            "The repeated program ended well but logged no MLflow run that carries this rerun's token: it "
            "did not call samebits.autolog(), or logged to another tracking store."
        )
    raise RerunError(
        f"The repeated program logged {len(runs)} runs, of which {len(found)} are number {wanted} of their "
        "process, as the recorded one was; which of them repeats it cannot be told."
    )


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Turn signals that end a program into SystemExit, once, so that every `finally` on the way out runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        for other in ENDING:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
