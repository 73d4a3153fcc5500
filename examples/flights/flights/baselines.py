"""What the network has to beat: predictions that need no network, fitted on the same training months."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from flights.data import TARGET
from flights.features import CATEGORIES

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from flights.features import Encoding

    Predict = Callable[[pd.DataFrame], np.ndarray]


def fit(train: pd.DataFrame, encoding: Encoding, seed: int) -> dict[str, Predict]:
    """Fit all baselines; each maps joined flights to predicted delays in minutes, in the flights' order."""
    return {
        "median": _median(train),
        "carrier_hour": _carrier_hour(train),
        "ridge": _ridge(train, encoding),
        "boosting": _boosting(train, encoding, seed),
    }


def _median(train: pd.DataFrame) -> Predict:
    """Predict one number for all: the median, the constant with the least mean absolute error."""
    median = float(train[TARGET].median())
    return lambda flights: np.full(len(flights), median)


def _carrier_hour(train: pd.DataFrame) -> Predict:
    """Predict the carrier's median in that hour, or that of all flights where training had none."""
    keys = ["carrier", "hour"]
    medians = train.groupby(keys)[TARGET].median().rename("prediction")
    overall = float(train[TARGET].median())
    return lambda flights: flights[keys].join(medians, on=keys)["prediction"].fillna(overall).to_numpy()


def _ridge(train: pd.DataFrame, encoding: Encoding) -> Predict:
    """Fit a linear model on the network's own inputs."""
    one_hot = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), CATEGORIES), remainder="passthrough", sparse_threshold=0
    )
    model = make_pipeline(one_hot, Ridge(alpha=1.0, solver="cholesky"))
    inputs = encoding.transform(train)
    model.fit(inputs, train[TARGET])
    # Ridge aims at the mean, which long delays pull far above the median; the yardstick here is the absolute
    # error. Without this shift it would lose to a constant and be no rival at all.
    shift = float(np.median(train[TARGET] - model.predict(inputs)))
    return lambda flights: model.predict(encoding.transform(flights)) + shift


def _boosting(train: pd.DataFrame, encoding: Encoding, seed: int) -> Predict:
    """Fit gradient-boosted trees on the network's own inputs: the rival that usually wins on tables."""
    model = HistGradientBoostingRegressor(
        loss="absolute_error", early_stopping=False, categorical_features=CATEGORIES, random_state=seed
    )
    model.fit(encoding.transform(train), train[TARGET])
    return lambda flights: model.predict(encoding.transform(flights))
