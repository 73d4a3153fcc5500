"""The closure manifest of the environment we are in: read it, recompute its ids, believe nothing else.

Specified in docs/closure.md; version 1. No network, no Nix: the manifest is a file the image carries.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samebits.errors import ClosureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VERSION = 1
DEFAULT_PATH = "/etc/samebits/closure.json"
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Closure:
    """What one environment is: `closure_id` names what to realise, `content_id` what it contains."""

    name: str
    system: str
    root: str
    closure_id: str
    content_id: str


def closure_id(paths: Iterable[str]) -> str:
    """sha256 over the sorted store paths, a line feed after each, as `sha256:<hex>`."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.encode() + b"\n")
    return "sha256:" + digest.hexdigest()


def content_id(layers: Iterable[tuple[str, str]]) -> str:
    """sha256 over `<name> <narHash>` of the layers sorted by name, a line feed after each."""
    digest = hashlib.sha256()
    for name, nar_hash in sorted(layers):
        digest.update(f"{name} {nar_hash}\n".encode())
    return "sha256:" + digest.hexdigest()


def manifest_path(environ: Mapping[str, str]) -> Path | None:
    """Where the manifest of this environment is; None where nothing says that we are inside a closure."""
    named = environ.get("SAMEBITS_CLOSURE")
    if named:
        return Path(named)
    default = Path(DEFAULT_PATH)
    return default if default.exists() else None


def load(path: Path) -> Closure:
    """Read the manifest at `path`; ClosureError unless both ids follow from what it lists."""
    try:
        if os.stat(path).st_size > MAX_BYTES:
            raise ClosureError(
                f"The closure manifest {path} is larger than {MAX_BYTES} bytes; this is not one "
                "of ours. Point SAMEBITS_CLOSURE at the closure.json of your workspace."
            )
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise ClosureError(
            f"The closure manifest {path} cannot be read ({error.strerror}). Unset "
            "SAMEBITS_CLOSURE, or enter the workspace again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ClosureError(
            f"The closure manifest {path} is not JSON. Enter the workspace again; if it stays so, "
            "the image is damaged: rebuild it."
        ) from error
    return _checked(data, path)


def _checked(data: Any, path: Path) -> Closure:
    if not isinstance(data, dict) or not isinstance(data.get("version"), int):
        raise ClosureError(f"The closure manifest {path} names no version. Rebuild the workspace image.")
    if data["version"] != VERSION:
        raise ClosureError(
            f"The closure manifest {path} has version {data['version']}, this samebits reads "
            f"{VERSION}. Use the samebits that is inside that workspace."
        )
    try:
        stated = Closure(*(_text(data[key]) for key in ("name", "system", "root", "closure_id", "content_id")))
        computed_closure = closure_id(_text(entry["path"]) for entry in data["paths"])
        computed_content = content_id((_text(layer["name"]), _text(layer["narHash"])) for layer in data["layers"])
    except (KeyError, TypeError, UnicodeEncodeError) as error:
        raise ClosureError(
            f"The closure manifest {path} is not as docs/closure.md specifies it ({error}). "
            "Rebuild the workspace image."
        ) from error
    for label, says, is_ in (
        ("closure_id", stated.closure_id, computed_closure),
        ("content_id", stated.content_id, computed_content),
    ):
        if says != is_:
            raise ClosureError(
                f"The closure manifest {path} says {label} {says}, but its own entries give {is_}. "
                "It was edited or damaged; nothing recorded under it would mean anything. "
                "Rebuild the workspace image."
            )
    return stated


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a string, found {type(value).__name__}")
    return value
