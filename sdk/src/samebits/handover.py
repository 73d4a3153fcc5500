"""From `samebits exec` to the program: an environment fit for repetition, and what was true at the start.

The determinism settings act only when they are there before the interpreter starts. What is decided here
travels in `SAMEBITS_START` (JSON) through exec to `samebits.autolog()` in the program.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebits import repository, snapshot
from samebits.errors import RepositoryError, SnapshotError
from samebits.record import Code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START = "SAMEBITS_START"
SEED = "SAMEBITS_SEED"
RERUN_TOKEN = "SAMEBITS_RERUN_TOKEN"  # noqa: S105  (a name, not a secret)
RERUN_OF = "SAMEBITS_RERUN_OF"
MAX_LENGTH = 120_000  # Linux refuses one variable above 128 KiB

# Variables that decide bits or the program's course and whose values hold no secrets. Nothing else is
# recorded.
ALLOWED = frozenset(
    {SEED}
    | {f"PYTHON{name}" for name in ("HASHSEED", "PATH", "OPTIMIZE", "NOUSERSITE", "UTF8", "SAFEPATH")}
    | {f"OMP_{name}" for name in ("NUM_THREADS", "DYNAMIC", "PROC_BIND", "PLACES", "SCHEDULE", "THREAD_LIMIT")}
    | {f"{name}_NUM_THREADS" for name in ("OPENBLAS", "GOTO", "BLIS", "NUMEXPR", "MKL")}
    | {"OPENBLAS_CORETYPE", "MKL_DYNAMIC", "MKL_CBWR", "KMP_DETERMINISTIC_REDUCTION"}
    | {"NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "GLIBC_TUNABLES"}
    | {"ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}
    | {"CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE"}
    | {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TZ", "SOURCE_DATE_EPOCH", "LANG", "LANGUAGE"}
    | {f"LC_{name}" for name in ("ALL", "CTYPE", "NUMERIC", "COLLATE", "TIME")}
)


@dataclass(frozen=True)
class Start:
    """What was seen and set before the program started.

    The program is process `pid`, or a child of it if `spawned`. `typed` is None where the command was too
    long to hand over. `kept` is the commit of a dirty tree's snapshot, `not_kept` why there is none.
    """

    pid: int
    spawned: bool
    session: str
    typed: list[str] | None
    cwd: str
    root: str | None
    code: Code
    set_by_samebits: list[str]
    kept: str | None
    not_kept: str | None


def prepare(environ: Mapping[str, str], seed: int | None) -> tuple[dict[str, str], list[str]]:
    """A copy of `environ` with the determinism settings, and the names set here; the user's values stay."""
    prepared = dict(environ)
    if seed is not None:
        prepared[SEED] = str(seed)
    threads = str(len(os.sched_getaffinity(0)))
    asked = prepared.get(SEED, "")
    settings = {
        "PYTHONHASHSEED": str(int(asked) % 2**32) if asked.isdecimal() else "0",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": prepared.get("OMP_NUM_THREADS", threads),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }
    ours = sorted(name for name in settings if name not in environ)
    prepared |= {name: settings[name] for name in ours}
    return prepared, ours if seed is None else sorted([*ours, SEED])


def start(typed: Sequence[str], cwd: str, set_by_samebits: list[str], *, spawned: bool) -> Start:
    """Look at the code now, and note the command as it was typed."""
    root, code = read_code(cwd, "exec")
    kept, not_kept = keep_code(root, code)
    session = secrets.token_hex(8)
    return Start(os.getpid(), spawned, session, list(typed), cwd, root, code, set_by_samebits, kept, not_kept)


def read_code(where: str, read_at: str) -> tuple[str | None, Code]:
    """The repository's root and the code's state; outside of a repository the state says why it has none."""
    try:
        state = repository.read_state(where)
    except (RepositoryError, OSError, ValueError) as error:
        return None, Code("none", None, str(error), read_at, [], [], 0, [])
    reason = None if state.head else "the repository has no commit yet"
    return state.root, Code(
        commit=state.commit,
        head=state.head,
        reason=reason,
        read_at=read_at,
        repository=state.roots,
        changed=state.changed,
        changed_total=state.changed_total,
        store_files=state.store_files,
    )


def keep_code(root: str | None, code: Code) -> tuple[str | None, str | None]:
    """Take a snapshot of a dirty tree: its commit, or why there is none; (None, None) of any other tree."""
    if root is None or code.commit != "dirty" or code.head is None:
        return None, None
    try:
        return snapshot.take(root, code.head, code.store_files), None
    except (SnapshotError, RepositoryError, OSError) as error:
        return None, str(error)


def prepare_store(environ: Mapping[str, str], root: str) -> None:
    """Make the folder of the default tracking store, which MLflow does not make itself."""
    if environ.get("MLFLOW_TRACKING_URI", "").startswith(f"sqlite:///{root}/.samebits/"):
        repository.state_folder(root)


def encode(begun: Start) -> str:
    """For the environment: one line of ASCII JSON, without the longest parts where Linux would refuse it."""
    text = json.dumps(dataclasses.asdict(begun))
    if len(text) > MAX_LENGTH:
        begun = dataclasses.replace(begun, code=dataclasses.replace(begun.code, changed=[], store_files=[]))
        text = json.dumps(dataclasses.asdict(begun))
    if len(text) > MAX_LENGTH:
        text = json.dumps(dataclasses.asdict(dataclasses.replace(begun, typed=None)))
    return text


def decode(environ: Mapping[str, str]) -> Start | None:
    """What `samebits exec` handed over; None without it, or when it is not what this version writes."""
    try:
        data = json.loads(environ[START])
        return Start(**(data | {"code": Code(**data["code"])}))
    except (KeyError, ValueError, TypeError):
        return None
