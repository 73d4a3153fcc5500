"""The record of this process, taken from the process itself: entry, modules, and what could not be had."""

from __future__ import annotations

import dataclasses
import os
import shlex
import stat
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

from samebits import __version__, closure, datasets, handover, numerics, snapshot
from samebits.errors import ClosureError
from samebits.record import VERSION, ClosureUsed, Code, Dataset, Entry, Modules, Record, Run, Seed, Variable

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_OUTSIDE = 50
TAG_LENGTH = 1000
# Modules that libraries write to a temporary folder from their own templates: torch's.
GENERATED = frozenset({"_remote_module_non_scriptable"})
INSTALLED = ("stdlib", "platstdlib", "purelib", "platlib")
NOT_CHECKED = [
    "files the program reads that were not named with samebits.dataset()",
    "files that git ignores, other than datasets",
    "environment variables outside the allow-list",
    "code changed on disk after the program started",
    "files of the closure changed since the image was built",
    "instruction sets that libm, OpenBLAS and oneDNN chose, beyond what the numerics show",
    "modules and libraries that shadow the closure's own (user site, LD_PRELOAD)",
    "child processes and other machines",
]


class Process:
    """What is recorded once per process: code, entry, closure. Runs differ only in what `record` adds."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.not_recorded: list[str] = []
        begun = handover.decode(environ)
        here = os.getcwd()
        self.root: str | None
        self.code: Code
        if begun is not None and begun.pid == (os.getppid() if begun.spawned else os.getpid()):
            self.root, self.code, self.cwd = begun.root, begun.code, begun.cwd
            kept, not_kept = begun.kept, begun.not_kept
        else:
            self.root, self.code = handover.read_code(here, "autolog")
            kept, not_kept = handover.keep_code(self.root, self.code)
            self.cwd = begun.cwd if begun and begun.root == self.root else here
            self._miss("the code as it was when the program started: it was read at samebits.autolog()")
        if begun is None:
            self._miss("determinism settings before the start: the program was not started by `samebits exec`")
        elif begun.typed is None:
            self._miss("the command as typed: it was too long to hand over")
        self.session = begun.session if begun else os.urandom(8).hex()
        self.typed = begun.typed if begun else None
        self.set_by_samebits = frozenset(begun.set_by_samebits if begun else ())
        self.environ = {name: environ[name] for name in sorted(handover.ALLOWED) if name in environ}
        self.hash_seed = environ.get("PYTHONHASHSEED", "random") if sys.flags.hash_randomization else "0"
        self.entry = self._entry()
        self.closure = used_closure(environ)
        self._modules = LoadedModules(self.root)
        self.rerun_of = environ.get(handover.RERUN_OF)
        self.token = environ.get(handover.RERUN_TOKEN)
        self._keeper: snapshot.Keeper | None = None
        if kept and self.root and self.code.head:
            try:
                self._keeper = snapshot.Keeper(self.root, self.code.head, kept)
            except OSError as error:
                not_kept = f"its snapshot is gone ({error.strerror})"
        if not_kept:
            self._miss(f"{snapshot.CONTENT}: {not_kept}")
        if _has_input():
            self._miss("standard input: it was a pipe or a file, whose content is not kept")

    def _miss(self, sentence: str) -> None:
        self.not_recorded.append(sentence)

    def tags(self, ordinal: int) -> dict[str, str]:
        """Short searchable tags, all `samebits.*`, each well below MLflow's 8,000 characters."""
        tags = {
            "record": str(VERSION),
            "session": self.session,
            "ordinal": str(ordinal),
            "commit": self.code.commit,
            "entry": self.entry.name,
            "args": shlex.join(self.entry.arguments),
            "closure_id": self.closure.closure_id or "none",
            "content_id": self.closure.content_id or "none",
            "image": self.closure.image,
            "flake": self.closure.flake,
            "rerun_of": self.rerun_of,
            "rerun_token": self.token,
        }
        return {
            f"samebits.{name}": value[:TAG_LENGTH].encode(errors="backslashreplace").decode()
            for name, value in tags.items()
            if value is not None
        }

    def kept(self) -> snapshot.Kept:
        """What is kept of a dirty tree; waits until that is known."""
        return self._keeper.result() if self._keeper else snapshot.Kept()

    def record(self, ordinal: int, status: str, seed: Seed, used: list[Dataset], problems: list[str]) -> Record:
        """The record of one run that ends now; what a library will not answer is said in it."""
        table, missing = numerics.effective()
        kept = self.kept()
        if kept.problem:
            missing = [*missing, f"{snapshot.CONTENT}: {kept.problem}"]
        return Record(
            run=Run(self.session, ordinal, status, self.rerun_of),
            code=dataclasses.replace(self.code, snapshot=kept.snapshot),
            entry=self.entry,
            environment={
                name: Variable(value, "samebits" if name in self.set_by_samebits else "user")
                for name, value in self.environ.items()
            },
            seed=seed,
            datasets=used,
            closure=self.closure,
            numerics=table,
            modules=self._modules.now(),
            python=f"{sys.implementation.name} {sys.version.split()[0]}",
            samebits=__version__,
            not_recorded=[*self.not_recorded, *missing, *problems],
            not_checked=NOT_CHECKED,
        )

    def _entry(self) -> Entry:
        main: Any = sys.modules.get("__main__")
        spec = getattr(main, "__spec__", None)
        file = getattr(main, "__file__", None)
        if "ipykernel" in sys.modules:
            kind, name = "notebook", "notebook"
            self._miss("the cells of the notebook: this version records programs only")
        elif spec is not None:
            kind, name = "module", str(spec.name).removesuffix(".__main__")
        elif file is not None:
            kind, name = "script", self._relative(os.path.join(self.cwd, file))
        elif sys.argv[:1] == ["-c"]:
            kind, name = "command", "-c"
        else:
            kind, name = "interactive", "interactive"
            self._miss("the program's text: it was typed or came from standard input")
        real = os.path.realpath(self.cwd)
        inside = self.root is not None and datasets.is_under(real, self.root)
        cwd = os.path.relpath(real, self.root) if inside else None
        return Entry(kind, name, self.typed, list(sys.orig_argv), list(sys.argv[1:]), cwd)

    def _relative(self, path: str) -> str:
        real = os.path.realpath(path)
        inside = self.root is not None and datasets.is_under(real, self.root)
        return os.path.relpath(real, self.root) if inside else path


def used_closure(environ: Mapping[str, str]) -> ClosureUsed:
    """The closure we are in, with both ids recomputed; kind `none` and the reason otherwise."""
    path = closure.manifest_path(environ)
    if path is None:
        reason = "not inside a Samebits workspace (no SAMEBITS_CLOSURE and no /etc/samebits/closure.json)"
        return ClosureUsed("none", reason)
    try:
        found = closure.load(path)
    except ClosureError as error:
        return ClosureUsed("none", str(error))
    return ClosureUsed(
        kind="image",
        reason=None,
        name=found.name,
        system=found.system,
        root=found.root,
        closure_id=found.closure_id,
        content_id=found.content_id,
        image=environ.get("SAMEBITS_IMAGE"),
        flake=environ.get("SAMEBITS_FLAKE"),
    )


class LoadedModules:
    """Where modules came from: of the repository at `root`, installed with Python, or from elsewhere.

    A file is looked at once per process: runs that follow each other pay only for what was loaded in between.
    """

    def __init__(self, root: str | None) -> None:
        self._root = root
        paths = sysconfig.get_paths()
        own = os.path.dirname(os.path.realpath(__file__))
        installed = {own, *(os.path.realpath(paths[name]) for name in INSTALLED)}
        self._installed = tuple(folder.rstrip("/") + "/" for folder in installed)
        self._real: dict[str, str | None] = {}

    def now(self) -> Modules:
        """Count modules of the repository, and list those neither from it nor installed."""
        for name, module in list(sys.modules.items()):
            try:  # past a lazy module's own __getattribute__, which would import the module
                file = object.__getattribute__(module, "__dict__").get("__file__")
            except AttributeError:
                continue
            if isinstance(file, str) and file not in self._real:
                self._real[file] = None if name in GENERATED else self._place(file)
        found = {path for path in self._real.values() if path is not None}
        ours = {path for path in found if self._root is not None and datasets.is_under(path, self._root)}
        return Modules(len(ours), sorted(found - ours)[:MAX_OUTSIDE])

    def _place(self, file: str) -> str | None:
        """The real path of a file that is not installed with Python or a package; None for all others."""
        if file.startswith(self._installed) or "/site-packages/" in file or "/dist-packages/" in file:
            return None
        if os.path.abspath(file).startswith(self._installed):
            return None
        path = os.path.realpath(file)
        return None if path.startswith(self._installed) else path


def _has_input() -> bool:
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)
