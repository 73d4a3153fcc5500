"""The Nix store as the fetcher uses it: paths computed here, validity and additions through `nix-store`.

Nothing is registered as a garbage collector's root: a collection between fetch and build may delete what was
fetched, and fetching again brings it back. What a built image refers to is safe from then on.

Standard library only, Python 3.9 or newer.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from images.errors import DiskFullError, StoreUnusableError, ToolMissingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STORE_DIR = "/nix/store"
_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"  # no e, o, t, u
_PATHS_PER_CALL = 2000
_USUAL_PLACES = (
    "/nix/var/nix/profiles/default/bin",
    "~/.nix-profile/bin",
    "/run/current-system/sw/bin",
    "/usr/bin",
)


def flat_path(name: str, sha256: str) -> str:
    """Give the store path that `--add-fixed sha256` makes of a file with this name and sha256 (hex)."""
    inner = hashlib.sha256(f"fixed:out:sha256:{sha256}:".encode()).hexdigest()
    return _path("output:out", inner, name)


def recursive_path(name: str, nar_sha256: str) -> str:
    """Give the store path of a tree whose NAR has this sha256 (hex): `--add-fixed --recursive sha256`."""
    return _path("source", nar_sha256, name)


def _path(kind: str, sha256: str, name: str) -> str:
    digest = hashlib.sha256(f"{kind}:sha256:{sha256}:{STORE_DIR}:{name}".encode()).digest()
    folded = bytearray(20)
    for position, byte in enumerate(digest):
        folded[position % 20] ^= byte
    number = int.from_bytes(folded, "little")
    text = "".join(_ALPHABET[number >> shift & 31] for shift in range(155, -1, -5))
    return f"{STORE_DIR}/{text}-{name}"


class NixStore:
    """The store that `nix-store` speaks to: this user's, the daemon's, or where NIX_REMOTE says."""

    def __init__(self) -> None:
        self._program = _find_program()

    def missing(self, paths: Iterable[str]) -> set[str]:
        """Give those of `paths` that are not valid in the store. Raises StoreUnusableError."""
        wanted = list(paths)
        found: set[str] = set()
        for start in range(0, len(wanted), _PATHS_PER_CALL):
            batch = wanted[start : start + _PATHS_PER_CALL]
            found.update(self._run(["--check-validity", "--print-invalid", *batch]))
        return found

    def add_files(self, files: Sequence[Path], expected: Sequence[str]) -> None:
        """Add each file under its own name, flat, and insist on the `expected` paths.

        Raises StoreUnusableError, or DiskFullError. Every file is added completely or not at all.
        """
        self._insist(self._run(["--add-fixed", "sha256", *map(str, files)]), expected)

    def add_tree(self, tree: Path, expected: str) -> None:
        """Add a directory under its own name, insist on the `expected` path; raises what `add_files` does."""
        self._insist(self._run(["--add-fixed", "--recursive", "sha256", str(tree)]), [expected])

    def real(self, path: str) -> Path:
        """Say where a store path's bytes lie: elsewhere only if NIX_REMOTE names another root."""
        remote = os.environ.get("NIX_REMOTE", "")
        if remote.startswith("/"):
            return Path(remote + path)
        parts = urlsplit(remote)
        root = parse_qs(parts.query).get("root", [""])[0]
        return Path(unquote(root) + path)

    def _insist(self, got: Sequence[str], expected: Sequence[str]) -> None:
        if list(got) != list(expected):
            odd = next(iter(set(got) - set(expected)), "no path")
            raise StoreUnusableError(
                f"nix-store put a file at {odd}, which is none of the places that follow from the lock. Does "
                f"this Nix use a store other than {STORE_DIR} (NIX_STORE_DIR)? Unset that and run the "
                "command again."
            )

    def _run(self, arguments: Sequence[str]) -> list[str]:
        try:
            # A session of its own: Ctrl-C on the terminal must not stop an addition half-way.
            with subprocess.Popen(
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            ) as process:
                out, err = process.communicate()
        except OSError as error:
            raise StoreUnusableError(f"{self._program} cannot be started ({error}). Reinstall Nix.") from error
        if process.returncode != 0:
            raise _explained(err)
        return out.split()


def _explained(stderr: str) -> Exception:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith("error:")), lines[-1] if lines else "it gave no reason")
    reason = reason.rstrip(".")
    if "No space left" in stderr or "Disk quota" in stderr or "disk is full" in stderr:
        return DiskFullError(
            f"The disk that holds the Nix store is full ({reason}). Make room, for example with "
            f"`nix-collect-garbage`, and run the command again: what has been fetched is kept."
        )
    return StoreUnusableError(
        f"The Nix store cannot be used ({reason}). To write to {STORE_DIR} you need to be its owner "
        "(single-user Nix, often root) or to have the Nix daemon running and be allowed to use it "
        "(`allowed-users` in nix.conf; on Debian, membership of the group nix-users). Nothing half-done was "
        "left; run the command again afterwards."
    )


def _find_program() -> str:
    found = shutil.which("nix-store")
    for place in _USUAL_PLACES:
        found = found or shutil.which("nix-store", path=os.path.expanduser(place))  # noqa: PTH111
    if not found:
        raise ToolMissingError(
            "There is no nix-store on this machine: neither on PATH nor where Nix is usually installed. "
            "Install Nix, on Debian and Ubuntu with `apt-get install nix-bin` (or `nix-setup-systemd` for "
            "the daemon), and run the command again. `make quickstart` does it for you."
        )
    return found
