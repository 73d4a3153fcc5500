"""From `samebits exec` to the program: an environment fit for repetition, and what was true at the start.

The determinism settings act only when they are there before the interpreter starts. What is decided here travels in
`SAMEBITS_START` (JSON) through exec to `samebits.autolog()` in the program.
"""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samebits import repository
from samebits.errors import RepositoryError
from samebits.record import Code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START = "SAMEBITS_START"
SEED = "SAMEBITS_SEED"
RERUN_TOKEN = "SAMEBITS_RERUN_TOKEN"  # noqa: S105  (a name, not a secret)
RERUN_OF = "SAMEBITS_RERUN_OF"

# Variables that decide bits or the program's course, and whose values hold no secrets. Nothing else is recorded.
ALLOWED = frozenset({
    "PYTHONHASHSEED", "PYTHONPATH", "PYTHONOPTIMIZE", "PYTHONNOUSERSITE", "PYTHONUTF8", "PYTHONSAFEPATH",
    SEED,
    "OMP_NUM_THREADS", "OMP_DYNAMIC", "OMP_PROC_BIND", "OMP_PLACES", "OMP_SCHEDULE", "OMP_THREAD_LIMIT",
    "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "GOTO_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "MKL_NUM_THREADS", "MKL_DYNAMIC", "MKL_CBWR", "KMP_DETERMINISTIC_REDUCTION", "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES", "GLIBC_TUNABLES", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
    "CUBLAS_WORKSPACE_CONFIG", "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_NUMERIC", "LC_COLLATE", "LC_TIME", "TZ", "SOURCE_DATE_EPOCH",
})  # fmt: skip


@dataclass(frozen=True)
class Start:
    """What was seen and set before the program started; it runs as process `pid`, or as its child if `spawned`."""

    pid: int
    spawned: bool
    session: str
    typed: list[str]
    cwd: str
    root: str | None
    code: Code
    set_by_samebits: list[str]


def prepare(environ: Mapping[str, str], seed: int | None) -> tuple[dict[str, str], list[str]]:
    """A copy of `environ` with the determinism settings, and the names set here; the user's own values stay."""
    prepared = dict(environ)
    if seed is not None:
        prepared[SEED] = str(seed)
    threads = str(len(os.sched_getaffinity(0)))
    hash_seed = prepared.get(SEED, "")
    settings = {
        "PYTHONHASHSEED": str(int(hash_seed) % 2**32) if hash_seed.isdecimal() else "0",
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
    return Start(os.getpid(), spawned, secrets.token_hex(8), list(typed), cwd, root, code, set_by_samebits)


def read_code(where: str, read_at: str) -> tuple[str | None, Code]:
    """The repository's root and the code's state; outside of a repository the state says why it has none."""
    try:
        state = repository.read_state(where)
    except (RepositoryError, OSError, ValueError) as error:
        return None, Code("none", None, str(error), read_at, [], [], 0, [])
    reason = None if state.head else "the repository has no commit yet"
    return state.root, Code(state.commit, state.head, reason, read_at, state.roots, state.changed,
                            state.changed_total, state.store_files)


def prepare_store(environ: Mapping[str, str], root: str) -> None:
    """Make the folder of the default tracking store, which MLflow does not make itself."""
    if environ.get("MLFLOW_TRACKING_URI", "").startswith(f"sqlite:///{root}/.samebits/"):
        repository.state_folder(root)


def encode(begun: Start) -> str:
    """For the environment: one line of ASCII JSON."""
    return json.dumps(dataclasses.asdict(begun))


def decode(environ: Mapping[str, str]) -> Start | None:
    """What `samebits exec` handed over; None without it, or when it is not what this version writes."""
    try:
        data = json.loads(environ[START])
        return Start(**(data | {"code": Code(**data["code"])}))
    except (KeyError, ValueError, TypeError):
        return None
