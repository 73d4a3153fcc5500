"""What decides floating-point bits here, asked of the libraries that are loaded, never assumed.

Nothing is imported that the program has not imported itself, except threadpoolctl, which only looks at
libraries already mapped. The answer is a flat table of strings, so that two of them compare line by line.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from functools import cache
from typing import Any

VERSIONED = (
    "numpy",
    "scipy",
    "sklearn",
    "pandas",
    "pyarrow",
    "torch",
    "lightning",
    "xgboost",
    "lightgbm",
    "mlflow",
)
# Read by the dynamic loader: whatever they name changes bits, but a rerun never sets them.
OBSERVED = ("LD_PRELOAD", "LD_LIBRARY_PATH")


def effective() -> tuple[dict[str, str], list[str]]:
    """The table of effective numerics, and sentences on what could not be asked."""
    table = {"cpu.available": str(len(os.sched_getaffinity(0)))}
    missing: list[str] = []
    table |= {f"env.{name}": os.environ[name] for name in OBSERVED if name in os.environ}
    for ask in (_cpu, _libc, _versions, _numpy, _thread_pools, _torch):
        try:
            table |= ask()
        except Exception as error:  # noqa: BLE001  (a library's oddity must not cost the rest of the record)
            missing.append(f"numerics: {ask.__name__.strip('_')} did not answer ({type(error).__name__}: {error})")
    if "threadpoolctl" not in sys.modules:
        missing.append("numerics: thread pools of BLAS and OpenMP (threadpoolctl is not installed)")
    return table, missing


@cache
def _cpu() -> dict[str, str]:
    fields: dict[str, str] = {}
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, colon, value = line.partition(":")
            if not colon:
                break  # the first processor ends at the first empty line
            fields[name.strip()] = value.strip()
    flags = " ".join(sorted(fields.get("flags", fields.get("Features", "")).split()))
    identity = "/".join(fields.get(name, "?") for name in ("vendor_id", "cpu family", "model", "stepping"))
    return {
        "cpu.architecture": platform.machine(),
        "cpu.model": fields.get("model name", "unknown"),
        "cpu.identity": identity,
        "cpu.flags_sha256": hashlib.sha256(flags.encode()).hexdigest(),
    }


@cache
def _libc() -> dict[str, str]:
    return {"libc": " ".join(platform.libc_ver())}


def _versions() -> dict[str, str]:
    loaded = [(name, sys.modules[name]) for name in VERSIONED if name in sys.modules]
    return {f"version.{name}": str(getattr(module, "__version__", "unknown")) for name, module in loaded}


def _numpy() -> dict[str, str]:
    if "numpy" not in sys.modules:
        return {}
    umath: Any = sys.modules.get("numpy._core._multiarray_umath") or sys.modules["numpy.core._multiarray_umath"]
    return {"numpy.cpu_features": " ".join(sorted(name for name, on in umath.__cpu_features__.items() if on))}


def _thread_pools() -> dict[str, str]:
    try:
        import threadpoolctl  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return {}
    seen: dict[str, int] = {}
    table: dict[str, str] = {}
    pools = threadpoolctl.threadpool_info()
    for pool in sorted(pools, key=lambda pool: (str(pool.get("prefix")), os.path.basename(str(pool.get("filepath"))))):
        prefix = str(pool.get("prefix"))
        seen[prefix] = seen.get(prefix, 0) + 1
        label = f"threads.{prefix}" + (f".{seen[prefix]}" if seen[prefix] > 1 else "")
        parts = (
            pool.get("num_threads"),
            pool.get("internal_api"),
            pool.get("version"),
            pool.get("architecture"),
            pool.get("threading_layer"),
        )
        table[label] = " ".join(str(part) for part in parts if part is not None)
    return table


def _torch() -> dict[str, str]:
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_num_threads"):
        return {}
    table = {
        "torch.threads": str(torch.get_num_threads()),
        "torch.interop_threads": str(torch.get_num_interop_threads()),
        "torch.cpu_capability": str(torch.backends.cpu.get_cpu_capability()),
        "torch.deterministic": _deterministic(torch),
        "torch.cudnn": f"deterministic={torch.backends.cudnn.deterministic} benchmark={torch.backends.cudnn.benchmark}",
        "torch.default_dtype": str(torch.get_default_dtype()),
        "torch.float32_matmul_precision": str(torch.get_float32_matmul_precision()),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        table |= {
            f"torch.cuda.{index}": str(torch.cuda.get_device_name(index)) for index in range(torch.cuda.device_count())
        }
        table["torch.cuda.version"] = str(torch.version.cuda)
    return table


def _deterministic(torch: Any) -> str:
    if not torch.are_deterministic_algorithms_enabled():
        return "off"
    return "warn only" if torch.is_deterministic_algorithms_warn_only_enabled() else "on"
