"""MLflow, the only module that knows it: where records are written, found and read back.

The seam is `MlflowClient.create_run` and `MlflowClient.set_terminated`, two documented methods through which
MLflow's own `start_run`, every autologger and every explicit client create and end runs.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import sys
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from samebits import record as records
from samebits.datasets import MLFLOW_DIGEST_LENGTH
from samebits.errors import RecordError, RunError, SamebitsError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


RUN_ID_LENGTH = 32
MIN_PREFIX = 4
SHOWN_RUNS = 5
MESSAGE_LENGTH = 300
VERDICT_ARTIFACT = "samebits/verdict.json"
ALL_EXPERIMENTS = 3  # mlflow.entities.ViewType.ALL: a deleted experiment's runs can still be repeated
# The command line asks once, where MLflow's default is to retry for minutes, and shows no bars of its own.
MANNERS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class AbsentStoreError(StoreError):
    """A local tracking store that is not there (yet)."""


@dataclass(frozen=True)
class Ending:
    """What is written of a run that ends: its record, the datasets it used, a dirty tree's pack."""

    record: bytes
    datasets: list[records.Dataset]
    pack: Path | None


class Recorder(Protocol):
    """What `instrument` tells about runs (implemented by `session.Session`)."""

    def starting(self) -> tuple[int, dict[str, str]]:
        """A run is about to be created: its ordinal and tags."""

    def started(self, run_id: str, ordinal: int) -> None:
        """It was created."""

    def ordinal(self, run_id: str) -> int | None:
        """Its ordinal, None unless it was created under this recorder."""

    def ending(self, run_id: str, status: str) -> Ending:
        """It is about to end."""


def instrument(recorder: Recorder) -> None:
    """Tell `recorder` of every run this process creates and ends, and write what it answers.

    What goes wrong in recording becomes a warning; what MLflow itself raises is passed on.
    """
    from mlflow import MlflowClient

    create_run, set_terminated = MlflowClient.create_run, MlflowClient.set_terminated

    @functools.wraps(create_run)
    def recorded_create_run(
        self: Any,
        experiment_id: str,
        start_time: int | None = None,
        tags: dict[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Any:
        ordinal, ours = 0, dict[str, str]()
        with _harmless("start"):
            ordinal, ours = recorder.starting()
        run = create_run(self, experiment_id, start_time, {**ours, **(tags or {})}, run_name)
        with _harmless("start"):
            recorder.started(run.info.run_id, ordinal)
        return run

    @functools.wraps(set_terminated)
    def recorded_set_terminated(self: Any, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        with _harmless("end"):
            _write(self, recorder, run_id, status or "FINISHED")
        set_terminated(self, run_id, status, end_time)

    for name, replacement in (
        ("create_run", recorded_create_run),
        ("set_terminated", recorded_set_terminated),
    ):
        setattr(MlflowClient, name, replacement)
    with _harmless("experiment"):
        _settle_experiments()


def _settle_experiments() -> None:
    """Give new experiments of a project's own store a place for files that is not the current folder.

    MLflow's default makes the tree dirty and, in a rerun, vanishes with the worktree. `set_experiment`
    creates through this class of MLflow's, not through MlflowClient.
    """
    from mlflow.tracking._tracking_service.client import TrackingServiceClient

    create_experiment = TrackingServiceClient.create_experiment

    @functools.wraps(create_experiment)
    def settled(self: Any, name: str, artifact_location: str | None = None, tags: Any = None) -> Any:
        return create_experiment(self, name, artifact_location or _beside_store(self.tracking_uri), tags)

    TrackingServiceClient.create_experiment = settled  # type: ignore[method-assign, unused-ignore]


def _beside_store(uri: str) -> str | None:
    """A folder for a new experiment's files in the `.samebits` around the store; None for other stores."""
    path = uri.partition("sqlite:///")[2]
    if os.path.basename(os.path.dirname(path)) != ".samebits":
        return None
    return os.path.join(os.path.dirname(os.path.abspath(path)), "artifacts", secrets.token_hex(8))


@contextlib.contextmanager
def _harmless(moment: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  (the experiment matters more than its record)
        words = f"{type(error).__name__}: {error}"
        warnings.warn(f"samebits could not record the {moment} of a run: {words}", stacklevel=4)


def _write(client: Any, recorder: Recorder, run_id: str, status: str) -> None:
    if recorder.ordinal(run_id) is None:
        for name, value in recorder.starting()[1].items():
            client.set_tag(run_id, name, value)
    ending = recorder.ending(run_id, status)
    if ending.pack:
        client.log_artifact(run_id, str(ending.pack), os.path.dirname(records.PACK_ARTIFACT))
    client.log_text(run_id, ending.record.decode("ascii"), records.ARTIFACT)
    print(f"samebits: run {run_id} recorded; to repeat it: samebits rerun {run_id[:8]}", file=sys.stderr)
    if ending.datasets:
        client.log_inputs(run_id, [_logged(used) for used in ending.datasets])


def _logged(used: records.Dataset) -> Any:
    from mlflow.entities import Dataset, DatasetInput

    name, path = (text.encode(errors="backslashreplace").decode() for text in (used.name, used.path))
    profile = {"sha256": used.sha256, "bytes": used.size, "files": used.files}
    return DatasetInput(
        Dataset(
            name=name,
            digest=used.sha256[:MLFLOW_DIGEST_LENGTH],
            source_type="local",
            source=json.dumps({"uri": path}),
            profile=json.dumps(profile),
        )
    )


@dataclass(frozen=True)
class StoredRun:
    """One run as the store lists it."""

    run_id: str
    experiment_id: str
    status: str
    tags: dict[str, str]
    artifact_uri: str


Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Outputs(Generic[Measured]):
    """What a run left: metric values by key and step, params, and what its files and logged models measure.

    `metrics[key]` is a list of (step, value) in the order logged; the files of a logged model are at
    `models/<name>/<index>/…`.
    """

    metrics: dict[str, list[tuple[int, float]]]
    params: dict[str, str]
    files: dict[str, Measured]


class Store:
    """The tracking store that MLflow is configured for; its errors are StoreError, RunError, RecordError."""

    def __init__(self) -> None:
        for name, value in MANNERS.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow
        except ImportError as error:
            raise StoreError(
                "MLflow is not installed in this environment, so no run can be read. Enter the workspace, or "
                "`pip install 'samebits[mlflow]'`."
            ) from error
        self.uri = _absolute(mlflow.get_tracking_uri())
        _check_local(self.uri)
        with self._translated():
            self._client = mlflow.MlflowClient(self.uri)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SamebitsError:
            raise
        except Exception as error:
            words = (str(error).strip().splitlines() or [type(error).__name__])[0][:MESSAGE_LENGTH]
            raise StoreError(
                f"The tracking store {shown(self.uri)} does not answer as it should ({words}). Check "
                "MLFLOW_TRACKING_URI and that the server runs, then try again."
            ) from error

    def greet(self) -> str:
        """Ask the store for an answer, and say where it is."""
        with self._translated():
            self._client.search_experiments(max_results=1)
        return f"{shown(self.uri)} answers"

    def find(self, prefix: str) -> StoredRun:
        """The run with this id, or this unique beginning of an id."""
        if not MIN_PREFIX <= len(prefix) <= RUN_ID_LENGTH or set(prefix) - set("0123456789abcdef"):
            raise RunError(
                f"{prefix!r} is not a run id: give the {RUN_ID_LENGTH} hexadecimal digits that MLflow shows "
                f"for the run, or at least the first {MIN_PREFIX} of them."
            )
        found = self._search(f"attributes.run_id LIKE '{prefix}%'")
        if not found:
            raise RunError(
                f"There is no run {prefix} in {shown(self.uri)}. Look it up with `mlflow ui`, or set "
                "MLFLOW_TRACKING_URI to the store it was logged to."
            )
        if len(found) > 1:
            ids = ", ".join(sorted(run.run_id for run in found)[:SHOWN_RUNS])
            more = ", …" if len(found) > SHOWN_RUNS else ""
            raise RunError(f"{len(found)} runs begin with {prefix}: {ids}{more}. Give more digits.")
        return found[0]

    def with_token(self, token: str) -> list[StoredRun]:
        """The runs that a rerun's command made, by the token handed to it."""
        return self._search(f"tags.`samebits.rerun_token` = '{token}'")

    def _search(self, query: str) -> list[StoredRun]:
        found: list[StoredRun] = []
        token: str | None = None
        with self._translated():
            experiments = self._client.search_experiments(view_type=ALL_EXPERIMENTS)
            ids = [experiment.experiment_id for experiment in experiments]
            while True:
                page = self._client.search_runs(ids, query, max_results=1000, page_token=token)
                found += [_stored(run) for run in page]
                token = page.token
                if not token:
                    return found

    def read_record(self, run: StoredRun) -> records.Record:
        """The run's record; RunError when nobody recorded it, RecordError when it is not to be trusted."""
        sizes = self._sizes(run)
        if records.ARTIFACT not in sizes:
            raise RunError(
                f"Run {run.run_id} has no samebits record: its program did not call samebits.autolog(), or "
                f"the run has not ended (its status is {run.status}). Only recorded runs can be shown and "
                "repeated."
            )
        if sizes[records.ARTIFACT] > records.MAX_BYTES:
            raise records.too_large(sizes[records.ARTIFACT])
        return records.from_bytes(self._read(run, records.ARTIFACT))

    def read_pack(self, run: StoredRun, snapshot: records.Snapshot) -> bytes:
        """The pack of a dirty tree's snapshot; RecordError where it is gone or has another size than recorded."""
        if self._sizes(run).get(records.PACK_ARTIFACT) != snapshot.size:
            raise RecordError(
                f"The run's {records.PACK_ARTIFACT} is gone or not of the recorded size ({snapshot.size} bytes), so "
                "the dirty tree that it ran from cannot be had. `--here code` executes the tree as it is here instead."
            )
        return self._read(run, records.PACK_ARTIFACT)

    def _sizes(self, run: StoredRun) -> dict[str, int]:
        """Of our own artifacts of a run, by path, in bytes."""
        with self._translated():
            return {item.path: item.file_size or 0 for item in self._client.list_artifacts(run.run_id, "samebits")}

    def _read(self, run: StoredRun, artifact: str) -> bytes:
        with self._translated(), tempfile.TemporaryDirectory(prefix="samebits-") as folder:
            return Path(self._client.download_artifacts(run.run_id, artifact, folder)).read_bytes()

    def outputs(self, run: StoredRun, measure: Callable[[Path], Measured]) -> Outputs[Measured]:
        """Everything of a run that can be compared; `measure` is given each file while it is here."""
        with self._translated():
            data = self._client.get_run(run.run_id).data
            metrics = {}
            for key in sorted(data.metrics):
                history = self._client.get_metric_history(run.run_id, key)
                history = sorted(history, key=lambda item: item.timestamp)
                metrics[key] = [(int(item.step), float(item.value)) for item in history]
            files = dict(_measured(run.artifact_uri, "", measure)) | self._model_files(run, measure)
        return Outputs(metrics, dict(data.params), files)

    def _model_files(self, run: StoredRun, measure: Callable[[Path], Measured]) -> dict[str, Measured]:
        models: list[Any] = []
        token: str | None = None
        while True:
            query = f"source_run_id='{run.run_id}'"
            page = self._client.search_logged_models([run.experiment_id], query, page_token=token)
            models += page
            token = page.token
            if not token:
                break
        # Models of one name are told apart by the order they were logged in.
        models.sort(key=lambda model: (model.creation_timestamp, model.model_id))
        files: dict[str, Measured] = {}
        seen: dict[str, int] = {}
        for model in models:
            seen[model.name] = seen.get(model.name, 0) + 1
            prefix = f"models/{model.name}/{seen[model.name]}/"
            files |= _measured(model.artifact_location, prefix, measure)
        return files

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags on a run."""
        with self._translated():
            for name, value in tags.items():
                self._client.set_tag(run_id, name, value)

    def log_json(self, run_id: str, path: str, data: Any) -> None:
        """Write plain data as canonical JSON to an artifact of the run."""
        with self._translated():
            self._client.log_text(run_id, records.canonical(data).decode("ascii"), path)


def _stored(run: Any) -> StoredRun:
    info = run.info
    return StoredRun(info.run_id, info.experiment_id, info.status, dict(run.data.tags), info.artifact_uri)


def _measured(uri: str, prefix: str, measure: Callable[[Path], Measured]) -> Iterator[tuple[str, Measured]]:
    from mlflow.artifacts import download_artifacts, list_artifacts

    if not list_artifacts(artifact_uri=uri):
        return
    in_place = uri.startswith(("/", "file:"))
    with tempfile.TemporaryDirectory(prefix="samebits-") as folder:
        local = Path(download_artifacts(artifact_uri=uri, dst_path=None if in_place else folder))
        for path in sorted(item for item in local.rglob("*") if item.is_file()):
            yield prefix + path.relative_to(local).as_posix(), measure(path)


def shown(uri: str) -> str:
    """The store's address without user name and password."""
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "@" in parts.netloc else uri


def _absolute(uri: str) -> str:
    scheme, separator, path = uri.partition(":///")
    if scheme.startswith("sqlite") and separator and path:
        return f"{scheme}:///{os.path.abspath(path)}"
    if "://" not in uri and not uri.startswith(("file:", "databricks")):
        return os.path.abspath(uri)
    return uri


def _check_local(uri: str) -> None:
    """Refuse a store that is not there yet: MLflow would make an empty one, and say the run is unknown."""
    sqlite = uri.startswith("sqlite")
    path = uri.partition(":///")[2] if sqlite else uri.removeprefix("file://").removeprefix("file:")
    if path.startswith("/") and not os.path.exists(path):
        raise AbsentStoreError(
            f"There is no tracking store at {path}. Set MLFLOW_TRACKING_URI to the store the run was logged "
            "to, or change into the folder that the program ran in."
        )
