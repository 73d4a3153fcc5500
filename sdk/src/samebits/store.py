"""MLflow, the only module that knows it: where records are written, found and read back.

The seam is `MlflowClient.create_run` and `MlflowClient.set_terminated`, two documented methods through which MLflow's
own `start_run`, every autologger and every explicit client create and end runs.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from samebits import record
from samebits.datasets import MLFLOW_DIGEST_LENGTH
from samebits.errors import RunError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from samebits.record import Dataset, Record

    Digest = Callable[[Path], tuple[str, int]]

RUN_ID_LENGTH = 32
MIN_PREFIX = 4
VERDICT_ARTIFACT = "samebits/verdict.json"
# The command line asks once; MLflow's own default is to retry for minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


class AbsentStoreError(StoreError):
    """A local tracking store that is not there (yet)."""


class Recorder(Protocol):
    """What `instrument` tells about runs (implemented by `session.Session`)."""

    def starting(self) -> tuple[int, dict[str, str]]:
        """A run is about to be created: its ordinal and tags."""

    def started(self, run_id: str, ordinal: int) -> None:
        """It was created."""

    def knows(self, run_id: str) -> bool:
        """Whether it was created under this recorder."""

    def ending(self, run_id: str, status: str) -> tuple[bytes, list[Dataset]]:
        """It is about to end: its record and datasets."""


def instrument(recorder: Recorder) -> None:
    """Tell `recorder` of every run this process creates and ends, and write what it answers. Never raises later."""
    from mlflow import MlflowClient  # noqa: PLC0415

    create_run, set_terminated = MlflowClient.create_run, MlflowClient.set_terminated

    @functools.wraps(create_run)
    def recorded_create_run(self: Any, experiment_id: str, start_time: int | None = None,
                            tags: dict[str, Any] | None = None, run_name: str | None = None) -> Any:
        ordinal, ours = 0, dict[str, str]()
        with _harmless("start"):
            ordinal, ours = recorder.starting()
        run = create_run(self, experiment_id, start_time, {**ours, **(tags or {})}, run_name)
        with _harmless("start"):
            recorder.started(run.info.run_id, ordinal)
        return run

    @functools.wraps(set_terminated)
    def recorded_set_terminated(self: Any, run_id: str, status: str | None = None,
                                end_time: int | None = None) -> None:
        with _harmless("end"):
            _write(self, recorder, run_id, status or "FINISHED")
        set_terminated(self, run_id, status, end_time)

    MlflowClient.create_run = recorded_create_run
    MlflowClient.set_terminated = recorded_set_terminated


@contextlib.contextmanager
def _harmless(moment: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  (the experiment matters more than its record)
        warnings.warn(f"samebits could not record the {moment} of a run: {type(error).__name__}: {error}", stacklevel=4)


def _write(client: Any, recorder: Recorder, run_id: str, status: str) -> None:
    if not recorder.knows(run_id):
        for name, value in recorder.starting()[1].items():
            client.set_tag(run_id, name, value)
    data, datasets = recorder.ending(run_id, status)
    client.log_text(run_id, data.decode("ascii"), record.ARTIFACT)
    if datasets:
        from mlflow.entities import Dataset as Logged  # noqa: PLC0415
        from mlflow.entities import DatasetInput  # noqa: PLC0415

        client.log_inputs(run_id, [DatasetInput(Logged(
            name=used.name.encode(errors="backslashreplace").decode(), digest=used.sha256[:MLFLOW_DIGEST_LENGTH],
            source_type="local", source=json.dumps({"uri": used.path}),
            profile=json.dumps({"sha256": used.sha256, "bytes": used.size, "files": used.files}),
        )) for used in datasets])


@dataclass(frozen=True)
class Outputs:
    """What a run left: metric values by key and step, params, and content digests of files and logged models.

    `metrics[key]` is a list of (step, value) in the order logged; `files` maps `path` to (sha256, size), a logged
    model's under `models/<name>/<index>/…`.
    """

    metrics: dict[str, list[tuple[int, float]]]
    params: dict[str, str]
    files: dict[str, tuple[str, int]]


class Store:
    """One tracking store, read. All its errors are StoreError or RunError."""

    def __init__(self) -> None:
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow  # noqa: PLC0415
        except ImportError as error:
            raise StoreError("MLflow is not installed in this environment, so no run can be read. Enter the "
                             "workspace, or `pip install 'samebits[mlflow]'`.") from error
        self.uri = _absolute(mlflow.get_tracking_uri())
        _check_local(self.uri)
        with self._translated():
            self._client = mlflow.MlflowClient(self.uri)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (StoreError, RunError, record.RecordError):
            raise
        except Exception as error:
            words = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
            raise StoreError(f"The tracking store {shown(self.uri)} does not answer as it should ({words}). Check "
                             "MLFLOW_TRACKING_URI and that the server runs, then try again.") from error

    def greet(self) -> str:
        """Ask the store for an answer, and say where it is."""
        with self._translated():
            self._client.search_experiments(max_results=1)
        return f"{shown(self.uri)} answers"

    def find(self, prefix: str) -> Any:
        """The MLflow run with this id or unique beginning of an id."""
        if not MIN_PREFIX <= len(prefix) <= RUN_ID_LENGTH or set(prefix) - set("0123456789abcdef"):
            raise RunError(f"{prefix!r} is not a run id: give the {RUN_ID_LENGTH} hexadecimal digits that MLflow "
                           f"shows for the run, or at least the first {MIN_PREFIX} of them.")
        with self._translated():
            experiments = [experiment.experiment_id for experiment in self._client.search_experiments(view_type=3)]
            found = [run for run in self._search(experiments, f"attributes.run_id LIKE '{prefix}%'")
                     if run.info.run_id.startswith(prefix)]
        if not found:
            raise RunError(f"There is no run {prefix} in {shown(self.uri)}. Look it up with `mlflow ui`, or set "
                           "MLFLOW_TRACKING_URI to the store it was logged to.")
        if len(found) > 1:
            ids = ", ".join(sorted(run.info.run_id for run in found)[:5])
            raise RunError(f"{len(found)} runs begin with {prefix}: {ids}{', …' if len(found) > 5 else ''}. Give more "
                           "digits.")
        return found[0]

    def _search(self, experiments: list[str], query: str) -> list[Any]:
        found: list[Any] = []
        token: str | None = None
        while experiments:
            page = self._client.search_runs(experiments, query, max_results=1000, page_token=token)
            found += page
            token = page.token
            if not token:
                break
        return found

    def with_token(self, token: str) -> list[Any]:
        """The runs that a rerun's command made, by the token handed to it; oldest first."""
        with self._translated():
            experiments = [experiment.experiment_id for experiment in self._client.search_experiments(view_type=3)]
            found = self._search(experiments, f"tags.`samebits.rerun_token` = '{token}'")
        return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))

    def read_record(self, run: Any) -> Record:
        """The run's record; RunError when nobody recorded it, RecordError when it is not to be trusted."""
        run_id = run.info.run_id
        with self._translated():
            listed = {item.path: item for item in self._client.list_artifacts(run_id, "samebits")}
        if record.ARTIFACT not in listed:
            raise RunError(f"Run {run_id} has no samebits record: its program did not call samebits.autolog(), or the "
                           f"run has not ended (its status is {run.info.status}). Only recorded runs can be shown and "
                           "repeated.")
        size = listed[record.ARTIFACT].file_size or 0
        if size > record.MAX_BYTES:
            raise record.too_large(size)
        with self._translated(), self._local(run_id, record.ARTIFACT) as path:
            return record.from_bytes(Path(path).read_bytes())

    @contextlib.contextmanager
    def _local(self, run_id: str, artifact: str) -> Iterator[str]:
        with tempfile.TemporaryDirectory(prefix="samebits-") as folder:
            yield self._client.download_artifacts(run_id, artifact, folder)

    def outputs(self, run: Any, digest: Digest) -> Outputs:
        """Everything of a run that can be compared; `digest` gives a downloaded file's sha256 and size."""
        run_id = run.info.run_id
        with self._translated():
            metrics = {}
            for key in sorted(run.data.metrics):
                history = sorted(self._client.get_metric_history(run_id, key), key=lambda item: item.timestamp)
                metrics[key] = [(int(item.step), float(item.value)) for item in history]
            files = dict(_digests(run.info.artifact_uri, "", digest)) | self._models(run, digest)
        return Outputs(metrics, dict(run.data.params), files)

    def _models(self, run: Any, digest: Digest) -> dict[str, tuple[str, int]]:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415

        query = f"source_run_id='{run.info.run_id}'"
        try:
            models = list(self._client.search_logged_models([run.info.experiment_id], query))
        except (AttributeError, NotImplementedError, MlflowException):
            return {}
        models.sort(key=lambda model: (model.creation_timestamp, model.model_id))
        files: dict[str, tuple[str, int]] = {}
        seen: dict[str, int] = {}
        for model in models:
            seen[model.name] = seen.get(model.name, 0) + 1
            prefix = f"models/{model.name}/{seen[model.name]}/"
            files |= _digests(model.artifact_location, prefix, digest)
        return files

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags on a run."""
        with self._translated():
            for name, value in tags.items():
                self._client.set_tag(run_id, name, value)

    def log_json(self, run_id: str, path: str, data: Any) -> None:
        """Write plain data as canonical JSON to an artifact of the run."""
        with self._translated():
            self._client.log_text(run_id, record.canonical(data).decode("ascii"), path)


def _digests(uri: str, prefix: str, digest: Digest) -> Iterator[tuple[str, tuple[str, int]]]:
    from mlflow.artifacts import download_artifacts  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="samebits-") as folder:
        local = Path(download_artifacts(artifact_uri=uri, dst_path=folder))
        for path in sorted(item for item in local.rglob("*") if item.is_file()):
            yield prefix + path.relative_to(local).as_posix(), digest(path)


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
    path = uri.partition(":///")[2] if uri.startswith("sqlite") else uri.removeprefix("file://").removeprefix("file:")
    if "://" in path or path == ":memory:" or not path.startswith("/"):
        return
    if not os.path.exists(path):
        raise AbsentStoreError(f"There is no tracking store at {path}. Set MLFLOW_TRACKING_URI to the store the run was "
                         "logged to, or change into the folder that the program ran in.")
