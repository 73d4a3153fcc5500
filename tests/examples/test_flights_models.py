"""Encoding, baselines and report of the flights example."""

from __future__ import annotations

import json
import random

import pytest

pytest.importorskip("pandas", reason="the example's tables are pandas")
pytest.importorskip("sklearn", reason="the baselines are scikit-learn's")

import numpy as np
import pandas as pd
from flights import baselines, data, report
from flights.features import CATEGORIES, NUMBERS, Encoding


@pytest.fixture
def parts(tables):
    """Split a year of flights that arrive the later the later in the day, and one carrier's later still."""
    draw = random.Random(7)  # noqa: S311  (no secret)
    lines = []
    for month in range(1, 13):
        for _ in range(30):
            hour, carrier = draw.randrange(6, 18), draw.choice(["AA", "UA"])
            arr = 4 * (hour - 12) + (20 if carrier == "UA" else 0) + draw.randrange(-3, 4)
            tail = draw.choice(["N1", "NA"])
            lines.append(
                tables.flight(month=month, day=draw.randrange(1, 28), hour=hour, carrier=carrier, arr=arr, tail=tail)
            )
    return data.split(data.join(data.read(data.files(tables.write(lines)))))


def test_encoding_is_all_numbers(parts):
    """Whatever is missing, the inputs are float32 without NaN, in a fixed order of columns."""
    encoding = Encoding.fit(parts.train)
    for part in (parts.train, parts.validation, parts.test):
        inputs = encoding.transform(part)
        assert list(inputs.columns) == CATEGORIES + NUMBERS + [f"{name}_missing" for name in encoding.may_miss]
        assert (inputs.dtypes == "float32").all()
        assert np.isfinite(inputs.to_numpy()).all()


def test_encoding_learns_from_training_alone(parts):
    """The vocabulary is that of the training months: a carrier first seen later is 0."""
    encoding = Encoding.fit(parts.train)
    stranger = parts.test.head(1).assign(carrier="ZZ")
    assert encoding.transform(stranger)["carrier"].tolist() == [0]
    assert encoding.vocabularies["carrier"] == ["AA", "UA"]
    assert encoding.transform(parts.train)["carrier"].min() == 1
    assert encoding.sizes[0] == 3


def test_missing_numbers_are_the_mean_and_say_so(parts):
    """A missing number becomes the mean of the training months, 0 when standardised, with its flag raised."""
    encoding = Encoding.fit(parts.train)
    inputs = encoding.transform(parts.train)
    missing = parts.train["seats"].isna()
    assert missing.any()
    assert not missing.all()
    assert (inputs["seats_missing"] == missing).all()
    assert (inputs.loc[missing, "seats"] == 0).all()


def test_encoding_survives_json(parts):
    """What is logged as encoding.json is enough to encode: a client need not know the training data."""
    encoding = Encoding.fit(parts.train)
    copy = Encoding(**json.loads(json.dumps(encoding.as_dict())))
    pd.testing.assert_frame_equal(copy.transform(parts.test), encoding.transform(parts.test))


def test_each_baseline_predicts_every_flight(parts):
    """Each baseline gives one finite number for each flight, in the flights' order."""
    fitted = baselines.fit(parts.train, Encoding.fit(parts.train), seed=1)
    assert list(fitted) == ["median", "carrier_hour", "ridge", "boosting"]
    shuffled = parts.test.iloc[::-1]
    for predict in fitted.values():
        predicted = predict(parts.test)
        assert predicted.shape == (len(parts.test),)
        assert np.isfinite(predicted).all()
        assert np.array_equal(predict(shuffled), predicted[::-1])


def test_baselines_learn_what_is_there(parts):
    """On delays that depend on hour and carrier, each baseline that sees them beats the constant."""
    fitted = baselines.fit(parts.train, Encoding.fit(parts.train), seed=1)
    delays = parts.test[data.TARGET].to_numpy()
    mae = {name: np.abs(predict(parts.test) - delays).mean() for name, predict in fitted.items()}
    assert max(mae["carrier_hour"], mae["ridge"], mae["boosting"]) < mae["median"] / 2


def test_an_hour_without_training_flights_gets_the_overall_median(parts):
    """A carrier and hour never seen in training fall back on the median of all flights."""
    predict = baselines.fit(parts.train, Encoding.fit(parts.train), seed=1)["carrier_hour"]
    assert predict(parts.test.head(1).assign(hour=3)).tolist() == [parts.train[data.TARGET].median()]


def table(network, rivals, days=None):
    """Metrics of constant predictions against delays of zero, two flights on each of ten days."""
    delays = np.zeros(20)
    days = np.repeat(np.arange(10), 2) if days is None else days
    predictions = {name: np.full(20, float(value)) for name, value in rivals.items()}
    return report.metrics(predictions | {report.MODEL: np.full(20, float(network))}, delays, days)


def test_metrics_are_in_minutes():
    """MAE and RMSE are those of the textbook."""
    predicted = {"median": np.array([0.0, 0.0]), report.MODEL: np.array([3.0, -1.0])}
    metrics = report.metrics(predicted, np.array([1.0, -7.0]), np.array([1, 2]))
    assert metrics.loc[report.MODEL, ["mae", "rmse"]].tolist() == [4.0, pytest.approx(20**0.5)]
    assert metrics.loc["median", "worse"] == 0.0


def test_summary_admits_defeat():
    """A baseline with a smaller error is named as not beaten: the report cannot flatter the network."""
    said = report.summary(table(network=5, rivals={"median": 9, "boosting": 4}))
    assert "It beats median (9.00)." in said
    assert "It does NOT beat boosting (4.00)." in said


def test_summary_calls_noise_a_draw():
    """A difference within twice its standard error, taken by day, is a draw and no victory."""
    predictions = {"boosting": np.tile([0.0, 2.0], 10), report.MODEL: np.tile([2.0, 0.1], 10)}
    said = report.summary(report.metrics(predictions, np.zeros(20), np.arange(20)))
    assert "It draws with boosting" in said
    assert "beat" not in said


def test_margin_takes_days_as_independent():
    """The same surplus packed into one day is less certain than spread over many."""
    surplus = {"boosting": np.r_[np.full(5, 8.0), np.ones(15)], report.MODEL: np.ones(20)}
    spread = report.metrics(surplus, np.zeros(20), np.arange(20))
    packed = report.metrics(surplus, np.zeros(20), np.repeat(np.arange(4), 5))
    assert packed.loc["boosting", "margin"] > 1.5 * spread.loc["boosting", "margin"]


def test_picture_has_the_same_bytes_each_time(tmp_path):
    """The same results give the same PNG, byte for byte, which names no version of a program."""
    pytest.importorskip("matplotlib", reason="the picture is matplotlib's")
    random_numbers = np.random.default_rng(0)
    predicted, delays = random_numbers.normal(size=50), random_numbers.normal(size=50)
    pictures = []
    for name in ("one.png", "two.png"):
        report.draw(tmp_path / name, [(3.0, 2.0), (2.5, 1.9)], 2.2, predicted, delays)
        pictures.append((tmp_path / name).read_bytes())
    assert pictures[0] == pictures[1]
    assert b"Software" not in pictures[0]
