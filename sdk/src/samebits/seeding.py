"""Seeds and determinism flags of the libraries a program loads: set as early as possible, and noted when.

A library that is loaded already is seeded at once, any other at the end of its import, before the program can
draw from it. A seed the program sets itself comes later and wins.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

WATCHED = ("numpy", "torch")


class Seeding:
    """Applies one seed (or none: then only torch's flags) to each library once; `applied` says when."""

    def __init__(self, seed: int | None) -> None:
        self.seed = seed
        self.applied: dict[str, str] = {}
        self.problems: list[str] = []
        self._looking = False

    def begin(self) -> None:
        """Seed what is loaded now, and watch the imports to come."""
        self._apply("autolog")
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Part of the import protocol: the ordinary spec, whose execution ends with seeding."""
        if name not in WATCHED or self._looking:
            return None
        self._looking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking = False
        loader: Any = spec.loader if spec else None
        if loader is None or not hasattr(loader, "exec_module"):
            return None
        execute = loader.exec_module

        def execute_then_seed(module: ModuleType) -> None:
            del loader.exec_module  # the class's own method shows again: nothing of ours stays behind
            execute(module)
            self._apply("import")

        loader.exec_module = execute_then_seed
        return spec

    def _apply(self, when: str) -> None:
        try:
            for name in self._apply_each():
                self.applied[name] = when
        except Exception as error:  # noqa: BLE001  (an odd library must not fail the program)
            self.problems.append(f"seeds and determinism flags: {type(error).__name__}: {error}")

    def _apply_each(self) -> Iterator[str]:
        torch: Any = sys.modules.get("torch")
        if torch is not None and "torch.flags" not in self.applied:
            # Only a warning where an operation has no deterministic form: recording must not fail the run.
            torch.use_deterministic_algorithms(True, warn_only=True)  # noqa: FBT003  (torch's own signature)
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            yield "torch.flags"
        if self.seed is None:
            return
        if "random" not in self.applied:
            import random

            random.seed(self.seed)
            yield "random"
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None and "numpy" not in self.applied:
            numpy.random.seed(self.seed % 2**32)
            yield "numpy"
        if torch is not None and "torch" not in self.applied:
            torch.manual_seed(self.seed)
            yield "torch"
