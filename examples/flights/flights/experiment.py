"""One experiment: fit baselines and network, judge them on months not seen before, log it all to MLflow."""

from __future__ import annotations

import logging
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import lightning
import mlflow
import numpy as np
import samebits
import torch
from mlflow.models import infer_signature

from flights import baselines, data, report
from flights.features import Encoding
from flights.module import DelayModule, batches
from flights.net import DelayNet

if TYPE_CHECKING:
    import pandas as pd

REGISTERED = "flights-delay"
PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Settings:
    """What the command line decides; all but `folder` is logged as parameters."""

    folder: Path
    epochs: int
    seed: int
    batch_size: int
    hidden: int
    rows: int | None


def run(settings: Settings) -> pd.DataFrame:
    """Run the experiment as one MLflow run and return the test months' metrics; raises data.DataError."""
    paths = data.files(settings.folder)
    samebits.autolog(seed=settings.seed)
    # The model is logged below, with a signature and the code it needs; a checkpoint would be a second copy.
    mlflow.pytorch.autolog(log_models=False, checkpoint=False)
    _quiet()
    mlflow.set_experiment("flights")
    with mlflow.start_run():
        for name, path in paths.items():
            samebits.dataset(path, name=name)
        parts = data.split(data.join(data.read(paths)), settings.rows)
        _log_settings(settings, parts)
        encoding = Encoding.fit(parts.train)
        rivals = baselines.fit(parts.train, encoding, settings.seed)
        module = _train(settings, parts, encoding)

        predictions = {name: predict(parts.test) for name, predict in rivals.items()}
        predictions[report.MODEL] = _predict(module.net, encoding.transform(parts.test))
        delays = parts.test[data.TARGET].to_numpy()
        table = report.metrics(predictions, delays, parts.test["day"].to_numpy())
        _log_results(table)
        constant = np.abs(rivals["median"](parts.validation) - parts.validation[data.TARGET]).mean()
        _log_picture(module.history, float(constant), predictions[report.MODEL], delays)
        _register(module.net, encoding, parts.test)
    return table


def _quiet() -> None:
    """Silence what would only clutter a run of this size; called once all these loggers are there."""
    for name in ("lightning.pytorch", "pytorch_lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    # MLflow tries the model on its example, which pandas 3 hands out read-only; nothing writes to it.
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    # A warning that pickled models run code when loaded; why this one is pickled stands in _register.
    logging.getLogger("mlflow.pytorch").setLevel(logging.ERROR)


def _log_settings(settings: Settings, parts: data.Split) -> None:
    mlflow.log_params(
        {
            "seed": settings.seed,
            "batch_size": settings.batch_size,
            "hidden": settings.hidden,
            "rows": settings.rows or "all",
            "flights_train": len(parts.train),
            "flights_validation": len(parts.validation),
            "flights_test": len(parts.test),
            "flights_without_arrival": parts.unlabelled,
        }
    )


def _train(settings: Settings, parts: data.Split, encoding: Encoding) -> DelayModule:
    """Train the network for the given number of epochs; the same settings give the same bits."""
    lightning.seed_everything(settings.seed, verbose=False)
    loaders = []
    for part, seed in ((parts.train, settings.seed), (parts.validation, None)):
        inputs = torch.tensor(encoding.transform(part).to_numpy())
        delays = torch.tensor(part[data.TARGET].to_numpy(), dtype=torch.float32)
        loaders.append(batches(inputs, delays, settings.batch_size, seed))
    centre = float(parts.train[data.TARGET].median())
    scale = float((parts.train[data.TARGET] - centre).abs().mean())
    numbers = encoding.transform(parts.train[:1]).shape[1] - len(encoding.sizes)
    module = DelayModule(DelayNet(encoding.sizes, numbers, settings.hidden, centre, scale or 1.0))
    trainer = lightning.Trainer(
        max_epochs=settings.epochs,
        accelerator="cpu",
        devices=1,
        deterministic=True,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, *loaders)
    return module


def _predict(net: DelayNet, inputs: pd.DataFrame) -> np.ndarray:
    with torch.inference_mode():
        return net.eval()(torch.tensor(inputs.to_numpy())).numpy()


def _log_results(table: pd.DataFrame) -> None:
    for name, row in table.iterrows():
        prefix = "test" if name == report.MODEL else f"baseline_{name}"
        mlflow.log_metrics({f"{prefix}_mae": row["mae"], f"{prefix}_rmse": row["rmse"]})
    mlflow.log_text(table.to_csv(), "metrics.csv")


def _log_picture(
    history: list[tuple[float, float]], baseline: float, predicted: np.ndarray, delays: np.ndarray
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "report.png"
        report.draw(picture, history, baseline, predicted, delays)
        mlflow.log_artifact(str(picture))


def _register(net: DelayNet, encoding: Encoding, test: pd.DataFrame) -> None:
    """Register the network; its inputs are encoded flights, and encoding.json says how to encode."""
    example = encoding.transform(test[:5])
    mlflow.log_dict(encoding.as_dict(), "encoding.json")
    mlflow.pytorch.log_model(
        net,
        name="model",
        registered_model_name=REGISTERED,
        signature=infer_signature(example, _predict(net, example)),
        input_example=example,
        # Given, not inferred: inference starts a second Python for seconds, and would say too much.
        pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}"],
        code_paths=[str(PACKAGE)],
        # MLflow's default, pt2, stores the checkout's path and the time of day in the model: a repeated run
        # could never have the same bytes. A pickled one depends on the weights and the code only.
        serialization_format="pickle",
    )
