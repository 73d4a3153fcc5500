"""From the joined flights to the one matrix of float32 that every model here takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

CATEGORIES = ["carrier", "origin", "dest", "hour", "weekday"]
NUMBERS = [
    "distance", "minute", "departures", "plane_age", "seats", "engines",
    "temp", "dewp", "humid", "wind_speed", "wind_gust", "wind_north", "wind_east", "precip", "pressure",
    "visib",
    "late_origin", "late_origin_carrier", "late_dest",
]  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """How columns become numbers, learned from the training months alone.

    A category's code is its place in the sorted vocabulary plus one; 0 stands for one never seen in training.
    Numbers are standardised; a missing one becomes 0, the mean, with a 1 in its `<name>_missing` column.
    """

    vocabularies: dict[str, list[str]]
    means: dict[str, float]
    deviations: dict[str, float]
    may_miss: list[str]

    @classmethod
    def fit(cls, train: pd.DataFrame) -> Encoding:
        """Learn vocabularies, means and deviations."""
        numbers = train[NUMBERS].astype("float64")
        # A column that is constant or empty in training tells nothing: it becomes 0, and no NaN.
        deviations = numbers.std(ddof=0).replace(0.0, np.nan).fillna(1.0)
        return cls(
            vocabularies={name: sorted(train[name].astype(str).unique()) for name in CATEGORIES},
            means=numbers.mean().fillna(0.0).to_dict(),
            deviations=deviations.to_dict(),
            may_miss=[name for name in NUMBERS if numbers[name].isna().any()],
        )

    @property
    def sizes(self) -> list[int]:
        """Number of codes of each category, the unknown one included, in the order of the columns."""
        return [len(self.vocabularies[name]) + 1 for name in CATEGORIES]

    def transform(self, flights: pd.DataFrame) -> pd.DataFrame:
        """Encode: the codes of CATEGORIES, then NUMBERS, then the missing-columns; all float32, no NaN."""
        columns: dict[str, Any] = {}
        for name in CATEGORIES:
            codes = {value: code for code, value in enumerate(self.vocabularies[name], start=1)}
            columns[name] = flights[name].astype(str).map(codes).fillna(0)
        for name in NUMBERS:
            number = (flights[name].astype("float64") - self.means[name]) / self.deviations[name]
            columns[name] = number.fillna(0.0)
        for name in self.may_miss:
            columns[f"{name}_missing"] = flights[name].isna()
        return pd.DataFrame(columns, index=flights.index).astype("float32")

    def as_dict(self) -> dict[str, Any]:
        """Everything a client needs to encode flights for the registered model, ready for JSON."""
        return asdict(self)
