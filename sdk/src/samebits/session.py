"""`samebits.autolog()` and `samebits.dataset()`: joins what is captured with where MLflow keeps it.

Recording never fails the experiment: whatever goes wrong here becomes a sentence in the record, or a warning.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

from samebits import capture, datasets, handover, store
from samebits.record import Dataset, Seed, to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

PathLike = TypeVar("PathLike", str, "os.PathLike[str]")

_lock = threading.RLock()
_session: Session | None = None
_datasets: dict[tuple[str, str], Dataset] = {}


def autolog(*, seed: int | None = None) -> None:
    """Record every MLflow run that this process makes from now on.

    `seed` seeds `random`, and numpy and torch where loaded (at the latest when the first run starts); the seed given to
    `samebits exec --seed` wins over it. Calling it again does nothing. It never raises: what could not be set up is a
    warning, what could not be recorded is said in the record.
    """
    global _session  # noqa: PLW0603  (one recorder per process, like MLflow's own autologgers)
    with _lock:
        if _session is not None:
            return
        try:
            session = Session(seed)
            store.instrument(session)
        except Exception as error:  # noqa: BLE001
            warnings.warn(f"samebits records nothing: {error}", stacklevel=2)
            return
        _session = session


def dataset(path: PathLike, *, name: str | None = None) -> PathLike:
    """Name a file or folder the run depends on; returns `path` unchanged.

    The full content is hashed now. The dataset belongs to the record of every run this process ends afterwards, and is
    logged as an input of these runs. Raises DatasetError when there is nothing readable at `path`.
    """
    root = _session.process.root if _session else handover.read_code(os.getcwd(), "autolog")[0]
    found = datasets.measure(path, name, root)
    with _lock:
        _datasets[found.name, found.path] = found
    return path


class Session:
    """The recorder of this process: tags for each run that starts, a record for each that ends."""

    def __init__(self, seed: int | None) -> None:
        self.process = capture.Process(os.environ)
        self._ordinals: dict[str, int] = {}
        self._started = 0
        asked = os.environ.get(handover.SEED, "")
        self._seed, self._seed_by = (int(asked), "exec") if asked.isdecimal() else (seed, "autolog")
        if self._seed is None:
            self._seed_by = ""
        self._applied: dict[str, str] = {}
        self._problems: list[str] = []
        self._apply("autolog")

    def starting(self) -> tuple[int, dict[str, str]]:
        """The ordinal and tags of a run about to be created; seeds what was loaded since autolog()."""
        with _lock:
            self._started += 1
            ordinal = self._started
        if ordinal == 1:
            self._apply("run start")
        return ordinal, self.process.tags(ordinal)

    def started(self, run_id: str, ordinal: int) -> None:
        """The run was created."""
        self._ordinals[run_id] = ordinal

    def knows(self, run_id: str) -> bool:
        """Whether this process created the run, so that its tags are there."""
        return run_id in self._ordinals

    def ending(self, run_id: str, status: str) -> tuple[bytes, list[Dataset]]:
        """The record of a run about to end, and the datasets to log as its inputs."""
        with _lock:
            used = [_datasets[key] for key in sorted(_datasets)]
        problems = list(self._problems)
        if not self.knows(run_id):
            problems.append("the start of the run: it was started by another process or before samebits.autolog()")
        ordinal = self._ordinals.get(run_id, 0)
        record = self.process.record(ordinal, status, self._seeded(), used, problems)
        return to_bytes(record), used

    def _seeded(self) -> Seed:
        return Seed(self._seed, self._seed_by or None, self.process.hash_seed, dict(self._applied))

    def _apply(self, when: str) -> None:
        try:
            for name in self._apply_each():
                self._applied[name] = when
        except Exception as error:  # noqa: BLE001
            self._problems.append(f"seeds and determinism flags: {type(error).__name__}: {error}")

    def _apply_each(self) -> Iterator[str]:
        """Seed each generator once, as soon as it is loaded; set torch's flags without making them fatal."""
        torch: Any = sys.modules.get("torch")
        if torch is not None and "torch.flags" not in self._applied:
            # Only a warning where an operation has no deterministic form: recording must not fail the experiment.
            torch.use_deterministic_algorithms(True, warn_only=True)
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.deterministic = True
            yield "torch.flags"
        if self._seed is None:
            return
        if "random" not in self._applied:
            import random  # noqa: PLC0415

            random.seed(self._seed)
            yield "random"
        numpy: Any = sys.modules.get("numpy")
        if numpy is not None and "numpy" not in self._applied:
            numpy.random.seed(self._seed % 2**32)
            yield "numpy"
        if torch is not None and "torch" not in self._applied:
            torch.manual_seed(self._seed)
            yield "torch"
