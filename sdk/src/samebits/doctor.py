"""Check what recording and repeating need: one line a check, ok, warn or FAIL, with what to do."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from samebits import capture, handover, repository
from samebits.errors import SamebitsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Result = tuple[str, str]
FAILED = UsageError.exit_code


def examine(environ: Mapping[str, str]) -> int:
    """Print every check; 0 unless one is FAIL."""
    results = [(name, *check(environ)) for name, check in CHECKS.items()]
    for name, state, text in results:
        print(f"{state:<5} {name:<9} {text}")
    return FAILED if any(state == "FAIL" for _, state, _ in results) else 0


def _closure(environ: Mapping[str, str]) -> Result:
    used = capture.used_closure(environ)
    if used.kind != "none":
        return "ok", f"{used.name} {used.closure_id}"
    if environ.get("SAMEBITS_CLOSURE"):
        return "FAIL", str(used.reason)
    return "warn", (
        f"{used.reason}; runs made here can at best be INCONCLUSIVE. Start programs inside the workspace: "
        "`nix run .#workspace-cpu -- …`"
    )


def _purity(environ: Mapping[str, str]) -> Result:
    loader = [name for name in ("LD_PRELOAD", "LD_LIBRARY_PATH") if environ.get(name)]
    if loader:
        return (
            "warn",
            f"{' and '.join(loader)} may bring libraries from outside the closure; unset before a run",
        )
    if environ.get("PYTHONNOUSERSITE") != "1":
        return "warn", "packages of the user site may shadow the closure's; set PYTHONNOUSERSITE=1"
    return "ok", "no loader variable, no user site (loaded files themselves are not checked by this version)"


def _git(_environ: Mapping[str, str]) -> Result:
    try:
        state = repository.read_state(os.getcwd())
    except SamebitsError as error:
        return "FAIL", str(error)
    if state.head is None:
        return "FAIL", f"{state.root} has no commit yet: commit the program, a rerun goes back to a commit"
    if state.changed_total:
        return "warn", (
            f"{state.changed_total} files differ from {state.head[:12]} ({', '.join(state.changed[:3])}): a "
            "run from here is recorded as dirty, and repeated from a snapshot of these files; better commit first"
        )
    return "ok", f"{state.root} at {state.head[:12]}, clean"


def _store(_environ: Mapping[str, str]) -> Result:
    from samebits import store

    try:
        return "ok", store.Store().greet()
    except store.AbsentStoreError as error:
        return "warn", f"{error} The first run makes one."
    except SamebitsError as error:
        return "FAIL", str(error)


def _threads(environ: Mapping[str, str]) -> Result:
    missing = [name for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED") if name not in environ]
    if missing:
        return "ok", f"{' and '.join(missing)} not set here; `samebits exec` sets and records them"
    return "ok", f"OMP_NUM_THREADS={environ['OMP_NUM_THREADS']}, PYTHONHASHSEED={environ['PYTHONHASHSEED']}"


def _started(environ: Mapping[str, str]) -> Result:
    if handover.START in environ:
        return "ok", "inside a program started by `samebits exec`"
    return "ok", "start programs with `samebits exec -- PROGRAM`, so that settings are in place in time"


def _home(_environ: Mapping[str, str]) -> Result:
    home = os.path.expanduser("~")
    for folder in (home, tempfile.gettempdir()):
        try:
            with tempfile.NamedTemporaryFile(dir=folder):
                pass
        except OSError as error:
            return "FAIL", f"{folder} is not writable ({error.strerror}); libraries and reruns need it"
    return "ok", f"{home} and {tempfile.gettempdir()} are writable"


CHECKS: dict[str, Callable[[Mapping[str, str]], Result]] = {
    "closure": _closure,
    "purity": _purity,
    "git": _git,
    "mlflow": _store,
    "threads": _threads,
    "start": _started,
    "home": _home,
}
