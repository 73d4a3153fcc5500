"""What came out: every predictor judged on the same flights, a picture, and a sentence that owns up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

MODEL = "network"


def metrics(predictions: dict[str, np.ndarray], delays: np.ndarray, days: np.ndarray) -> pd.DataFrame:
    """Judge all predictors, one row for each in the given order; all numbers are minutes.

    `mae` and `rmse` are the errors; `worse` is by how much the absolute error is larger than the network's,
    and `margin` twice the standard error of that. Flights of one day share its weather and its jams, so it is
    the days that are taken as independent: `days` says which day a flight belongs to.
    """
    errors = {name: predicted.astype("float64") - delays for name, predicted in predictions.items()}
    own = np.abs(errors[MODEL])
    rows = []
    for name, error in errors.items():
        surplus = pd.Series(np.abs(error) - own)
        totals = (surplus - surplus.mean()).groupby(days).sum()
        margin = 2 * float(np.sqrt((totals**2).sum())) / len(surplus)
        rows.append(
            {
                "predictor": name,
                "mae": float(np.abs(error).mean()),
                "rmse": float(np.sqrt((error**2).mean())),
                "worse": float(surplus.mean()),
                "margin": margin,
            }
        )
    return pd.DataFrame(rows).set_index("predictor")


def summary(table: pd.DataFrame) -> str:
    """Say from the metrics of the test months which baselines the network beats, and which it does not."""
    rivals = table.drop(MODEL)
    draw = rivals["worse"].abs() <= rivals["margin"]
    groups = {
        "It beats": rivals[~draw & (rivals["worse"] > 0)],
        "It draws with": rivals[draw],
        "It does NOT beat": rivals[~draw & (rivals["worse"] < 0)],
    }
    sentences = [f"On the test months the network is off by {table.loc[MODEL, 'mae']:.2f} minutes on average."]
    for words, group in groups.items():
        if len(group):
            listed = ", ".join(f"{name} ({mae:.2f})" for name, mae in group["mae"].items())
            sentences.append(f"{words} {listed}.")
    return " ".join(sentences)


def draw(
    path: Path, history: list[tuple[float, float]], baseline: float, predicted: np.ndarray, delays: np.ndarray
) -> None:
    """Draw the learning curve and the calibration on the test months, as a PNG with the same bytes each time.

    `baseline` is the validation error of the median. Calibration: the median delay of each tenth of the
    flights, ordered by prediction, against the median prediction; on the diagonal it is right.
    """
    # Here: --help need not wait half a second for it. Not pyplot: that looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    learning, calibration = figure.subplots(1, 2)

    epochs = range(1, len(history) + 1)
    learning.plot(epochs, [train for train, _ in history], marker="o", label="training, with dropout")
    learning.plot(epochs, [validation for _, validation in history], marker="o", label="validation")
    learning.axhline(baseline, color="grey", linestyle="--", label="validation, always the median")
    learning.set(title="Learning curve", xlabel="epoch", ylabel="mean absolute error (min)", xticks=list(epochs))
    learning.legend()

    tenths = [tenth for tenth in np.array_split(np.argsort(predicted, kind="stable"), 10) if len(tenth)]
    expected = [float(np.median(predicted[tenth])) for tenth in tenths]
    observed = [float(np.median(delays[tenth])) for tenth in tenths]
    ends = [min(expected + observed), max(expected + observed)]
    calibration.plot(ends, ends, color="grey", linestyle="--")
    calibration.plot(expected, observed, marker="o")
    calibration.set(title="Calibration, test months", xlabel="predicted (min)", ylabel="observed median (min)")
    # Software would be matplotlib's version, which is no property of the result.
    figure.savefig(path, dpi=100, metadata={"Software": None})
