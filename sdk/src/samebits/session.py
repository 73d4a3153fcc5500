"""`samebits.autolog()` and `samebits.dataset()`: joins what is captured with where MLflow keeps it.

Recording never fails the experiment: whatever goes wrong here becomes a sentence in the record, or a warning.
"""

from __future__ import annotations

import os
import threading
import warnings
from typing import TYPE_CHECKING, TypeVar

from samebits import capture, datasets, handover, repository, seeding, store
from samebits.errors import RepositoryError
from samebits.record import Dataset, Seed, to_bytes

if TYPE_CHECKING:
    from samebits.record import Record

PathLike = TypeVar("PathLike", str, "os.PathLike[str]")

_lock = threading.RLock()
_session: Session | None = None
_datasets: dict[tuple[str, str], Dataset] = {}


def autolog(*, seed: int | None = None) -> None:
    """Record every MLflow run that this process makes from now on.

    `seed` seeds `random`, numpy and torch, each at the latest when it is imported; the seed given to
    `samebits exec --seed` wins over it. Calling it again does nothing. It never raises: what could not be set
    up is a warning, what could not be recorded is said in the record.
    """
    global _session  # noqa: PLW0603  (one recorder per process, like MLflow's own autologgers)
    with _lock:
        if _session is not None:
            return
        try:
            session = Session(seed)
            store.instrument(session)
        except Exception as error:  # noqa: BLE001  (the experiment matters more than its record)
            warnings.warn(f"samebits records nothing: {error}", stacklevel=2)
            return
        _session = session


def dataset(path: PathLike, *, name: str | None = None) -> PathLike:
    """Name a file or folder the run depends on; returns `path` unchanged.

    The full content is hashed now. The dataset belongs to the record of every run this process ends
    afterwards, and is logged as an input of these runs. Raises DatasetError when there is nothing readable at
    `path`.
    """
    found = datasets.measure(path, name, _root())
    with _lock:
        _datasets[found.name, found.path] = found
    return path


def _root() -> str | None:
    if _session is not None:
        return _session.process.root
    try:
        return repository.find_root(os.getcwd())
    except RepositoryError:
        return None


class Session:
    """The recorder of this process: tags for each run that starts, a record for each that ends."""

    def __init__(self, seed: int | None) -> None:
        self.process = capture.Process(os.environ)
        self._ordinals: dict[str, int] = {}
        self._started = 0
        asked = os.environ.get(handover.SEED, "")
        self._seed_by = "exec" if asked.isdecimal() else "autolog" if seed is not None else None
        self._seeding = seeding.Seeding(int(asked) if asked.isdecimal() else seed)
        self._seeding.begin()

    def starting(self) -> tuple[int, dict[str, str]]:
        """The ordinal and tags of a run about to be created."""
        with _lock:
            self._started += 1
            return self._started, self.process.tags(self._started)

    def started(self, run_id: str, ordinal: int) -> None:
        """The run was created."""
        self._ordinals[run_id] = ordinal

    def ordinal(self, run_id: str) -> int | None:
        """The run's number in this process; None for a run that began elsewhere."""
        return self._ordinals.get(run_id)

    def ending(self, run_id: str, status: str) -> store.Ending:
        """What to write of a run that is about to end."""
        with _lock:
            used = [_datasets[key] for key in sorted(_datasets)]
        record = self._record(run_id, status, used)
        return store.Ending(to_bytes(record), used, self.process.kept().pack)

    def _record(self, run_id: str, status: str, used: list[Dataset]) -> Record:
        problems = list(self._seeding.problems)
        ordinal = self.ordinal(run_id)
        if ordinal is None:
            problems.append("the start of the run: it was started by another process, or before samebits.autolog()")
        applied = dict(self._seeding.applied)
        seed = Seed(self._seeding.seed, self._seed_by, self.process.hash_seed, applied)
        return self.process.record(ordinal or 0, status, seed, used, problems)
