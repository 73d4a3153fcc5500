"""The flights example on tables of a few lines, which say what the real ones say."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

# The example is a project of its own, run from its folder; here it is seen from outside.
sys.path.append(str(Path(__file__).resolve().parents[2] / "examples" / "flights"))

FLIGHTS = (
    "year,month,day,dep_time,sched_dep_time,dep_delay,arr_time,sched_arr_time,arr_delay,carrier,flight,tailnum,"
    "origin,dest,air_time,distance,hour,minute,time_hour"
)
WEATHER = "origin,year,month,day,hour,temp,dewp,humid,wind_dir,wind_speed,wind_gust,precip,pressure,visib,time_hour"
PLANES = "tailnum,year,type,manufacturer,model,engines,seats,speed,engine"


class Tables:
    """Writes tables into a folder; line builders whose defaults make one plain winter day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def flight(**columns) -> str:
        """One line of flights.csv; `hour` is New York's winter time, a delay of "NA" means there was none."""
        line = {
            "month": 1, "day": 1, "hour": 8, "minute": 0, "dep": 5, "arr": 3,
            "carrier": "AA", "tail": "N1", "origin": "JFK", "dest": "BOS",
        } | columns  # fmt: skip
        return (
            "2013,{month},{day},NA,{hour}{minute:02},{dep},NA,NA,{arr},{carrier},1,{tail},{origin},{dest},40,187,"
            "{hour},{minute},2013-{month:02}-{day:02}T{utc:02}:00:00Z"
        ).format(utc=line["hour"] + 5, **line)

    @staticmethod
    def weather(**columns) -> str:
        """One line of weather.csv; `hour` is New York's winter time."""
        line = {"month": 1, "day": 1, "hour": 7, "temp": 40, "wind": 90, "origin": "JFK"} | columns
        return (
            "{origin},2013,{month},{day},{hour},{temp},30,60,{wind},10,NA,0,1012,10,"
            "2013-{month:02}-{day:02}T{utc:02}:00:00Z"
        ).format(utc=line["hour"] + 5, **line)

    def year(self) -> list[str]:
        """Two flights of every month, with different delays."""
        return [self.flight(month=month, day=day, arr=month + day) for month in range(1, 13) for day in (1, 2)]

    def write(self, flights=None, weather=None, planes=("N1,2003,x,BOEING,737,2,150,NA,jet",)) -> Path:
        """Write the three files of the given lines and return their folder."""
        flights = self.year() if flights is None else flights
        weather = [self.weather()] if weather is None else weather
        with zipfile.ZipFile(self.folder / "flights.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("flights.csv", "\n".join([FLIGHTS, *flights]) + "\n")
        (self.folder / "weather.csv").write_text("\n".join([WEATHER, *weather]) + "\n")
        (self.folder / "planes.csv").write_text("\n".join([PLANES, *planes]) + "\n")
        return self.folder


@pytest.fixture
def tables(tmp_path):
    """Give a writer of small tables into a folder of this test's own."""
    return Tables(tmp_path)
