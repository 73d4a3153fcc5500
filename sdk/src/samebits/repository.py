"""Git, asked and never told: which repository, which commit, what differs from it.

Every call is an argument list, runs no hook of the repository, and takes no lock on the user's index.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samebits.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Mapping

# MLflow's own default store, written beside the program: results, not code, so it makes no tree dirty.
STORE_NAMES = ("mlruns", "mlartifacts", "mlflow.db", "mlflow.db-journal", "mlflow.db-wal", "mlflow.db-shm")
MAX_CHANGED = 200
ROOTS_SECONDS = 2.0
SUBMODULE = "160000"


@dataclass(frozen=True)
class State:
    """What git says of a tree: `head` is None before the first commit, `changed` lists at most 200 files."""

    root: str
    head: str | None
    changed: list[str]
    changed_total: int
    store_files: list[str]
    roots: list[str]

    @property
    def commit(self) -> str:
        """The commit, `dirty` where files differ from it, `none` before the first commit."""
        if self.head is None:
            return "none"
        return "dirty" if self.changed_total else self.head


def git(
    root: str | Path,
    *args: str,
    timeout: float | None = None,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> bytes:
    """Output of one git command in `root`; RepositoryError with git's own words when it fails."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ours = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command = [
        "git",
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "core.fsmonitor=false",
        "-C",
        os.fspath(root),
        *args,
    ]
    try:
        done = subprocess.run(
            command,
            env={**inherited, **ours, **(environ or {})},
            capture_output=True,
            check=False,
            timeout=timeout,
            input=stdin,
        )
    except FileNotFoundError as error:
        raise RepositoryError(
            "git is not installed or not on PATH; without it neither the code of a run nor a "
            "rerun can be had. Install git, or enter the workspace, which has it."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise RepositoryError(f"git {args[0]} took longer than {timeout:g} s in {root}.") from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise RepositoryError(f"git {args[0]} failed in {root}: {words[-1] if words else 'no message'}")
    return done.stdout


def find_root(where: str | Path) -> str:
    """Top folder of the repository `where` is in; RepositoryError outside of one."""
    return _locate(where)[0]


def _locate(where: str | Path) -> tuple[str, bool]:
    """The top folder, and whether the history is cut off (a shallow clone)."""
    try:
        answer = git(where, "rev-parse", "--show-toplevel", "--is-shallow-repository")
    except RepositoryError as error:
        if "not a git repository" not in str(error):
            raise
        raise RepositoryError(
            f"{where} is not inside a git repository, so there is no commit to record or to go "
            "back to. Run `git init` and commit the program, or change into its "
            "repository."
        ) from error
    root, _, shallow = answer.rstrip(b"\n").rpartition(b"\n")
    return os.fsdecode(root), shallow == b"true"


def read_state(where: str | Path) -> State:
    """Commit, changed files and root commits of the repository around `where`."""
    root, shallow = _locate(where)
    output = git(
        root,
        "status",
        "--porcelain=v2",
        "--branch",
        "-z",
        "--untracked-files=normal",
        "--ignore-submodules=none",
    )
    head: str | None = None
    changed: list[str] = []
    store_files: list[str] = []
    entries = iter(output.split(b"\0"))
    for entry in entries:
        if entry.startswith(b"# branch.oid "):
            oid = entry.removeprefix(b"# branch.oid ").decode()
            head = None if oid == "(initial)" else oid
        elif entry[:1] in {b"1", b"2", b"u", b"?"}:
            status, path = _entry(entry)
            if entry[:1] == b"2":
                next(entries, b"")  # the path before the rename follows as a field of its own
            if status == "?" and Path(path.rstrip("/")).name in STORE_NAMES:
                store_files.append(path)
            else:
                changed.append(f"{status} {path}")
    roots = _roots(root) if head and not shallow else []
    return State(root, head, changed[:MAX_CHANGED], len(changed), store_files[:MAX_CHANGED], roots)


def _entry(entry: bytes) -> tuple[str, str]:
    kind = entry[:1]
    if kind == b"?":
        return "?", os.fsdecode(entry[2:])
    fields = entry.split(b" ", {b"1": 8, b"2": 9, b"u": 10}[kind])
    return fields[1].decode(), os.fsdecode(fields[-1])


def _roots(root: str) -> list[str]:
    """First commits of the history: they name the repository without its address. [] if that takes too long."""
    try:
        return sorted(git(root, "rev-list", "--max-parents=0", "HEAD", timeout=ROOTS_SECONDS).decode().split())
    except RepositoryError:
        return []


def has_commit(root: str, commit: str) -> bool:
    """Whether the commit and its tree are in this repository's object store."""
    try:
        git(root, "cat-file", "-e", f"{commit}^{{tree}}")
    except RepositoryError:
        return False
    return True


def git_path(root: str, name: str) -> str:
    """Where the repository around `root` keeps its `index`, its `objects` and the like."""
    return os.path.join(root, os.fsdecode(git(root, "rev-parse", "--git-path", name).rstrip(b"\n")))


def parents(root: str, commit: str) -> list[str]:
    """The parents of a commit that is here; [] of one that is not."""
    try:
        return git(root, "rev-list", "--no-walk", "--parents", commit).decode().split()[1:]
    except RepositoryError:
        return []


def require_commit(root: str, commit: str, roots: list[str]) -> None:
    """Refuse, saying where to look, when a run's commit is not here; `roots` are its repository's first commits."""
    if has_commit(root, commit):
        return
    if roots and not any(has_commit(root, one) for one in roots):
        hint = "The run is from another repository, whose first commit is not here either: change into that one."
    else:
        hint = (
            "It was rebased away or never pushed: fetch the branch that holds it, or take it from the clone "
            "the run was made in."
        )
    raise RepositoryError(
        f"Commit {commit} of the run is not in the repository {root}. {hint} `--here code` executes the "
        "tree as it is here instead, which proves nothing about the recorded code."
    )


def count_files(root: str, commit: str, path: str) -> int:
    """How many files the commit has at or below `path` (relative to the root)."""
    return git(root, "ls-tree", "-r", "-z", "--name-only", commit, "--", path).count(b"\0")


def has_submodules(root: str, commit: str) -> bool:
    """Whether the commit refers to commits of other repositories, which a worktree leaves empty."""
    return any(line.startswith(SUBMODULE.encode()) for line in git(root, "ls-tree", "-r", "-z", commit).split(b"\0"))


def state_folder(root: str) -> Path:
    """`.samebits` in the repository's top folder, made on demand and invisible to git."""
    folder = Path(root) / ".samebits"
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return folder
