"""What the benchmarks say of what they measured."""

from __future__ import annotations

import json

import pytest

from bench import table
from bench.timing import Row, in_turns


def row(ours, theirs, **most):
    """A row with the given samples and aim."""
    return Row("build", ours, "script", theirs, "an aim" if most else "", most)


@pytest.mark.parametrize(
    ("ours", "theirs", "most", "met"),
    [
        ([1.1], [1.0], {"ratio": 1.2}, True),
        ([1.3], [1.0], {"ratio": 1.2}, False),
        ([0.9, 5.0, 0.8], [100.0], {"seconds": 1.0}, True),
        ([1.1], [100.0], {"seconds": 1.0}, False),
        ([1.04, 2.04], [1.0, 2.0], {"excess": 0.05}, True),
        ([1.06, 2.06], [1.0, 2.0], {"excess": 0.05}, False),
        ([4.0], [100.0], {"seconds": 5.0, "ratio": 1 / 50}, False),
        ([4.0], [300.0], {"seconds": 5.0, "ratio": 1 / 50}, True),
        ([9.0], [1.0], {}, None),
    ],
)
def test_an_aim_is_met_only_when_all_of_it_is(ours, theirs, most, met):
    """Each limit counts on medians; a row without a limit neither meets nor misses anything."""
    assert row(ours, theirs, **most).met is met


def test_excess_is_the_median_of_pairs():
    """A machine that becomes slower during the measurement changes both of a pair, so pairs are compared."""
    assert row([1.1, 5.1, 9.1], [1.0, 5.0, 9.0]).excess == pytest.approx(0.1)


def test_turns_alternate():
    """Who goes first changes from pair to pair, and each result lands on its own side."""
    order = []

    def measure(who):
        order.append(who)
        return {"ours": 1.0, "theirs": 2.0}[who]

    results = in_turns(lambda: measure("ours"), lambda: measure("theirs"), 3)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert results == ([1.0] * 3, [2.0] * 3)


def test_rows_survive_json():
    """A row measured in another process arrives as it was."""
    before = row([1.0, 2.0], [3.0], ratio=1.2)
    assert Row.from_dict(json.loads(json.dumps(before.as_dict()))) == before


@pytest.mark.parametrize(
    ("samples", "said"),
    [([0.0421], "42 ms"), ([3.14159], "3.14 s"), ([94.52], "94.5 s"), ([178.2], "178 s"), ([1, 3, 2], "2 s (1 s to 3 s)")],
)  # fmt: skip
def test_durations_can_be_read(samples, said):
    """Times have a unit that fits and no more digits than they deserve."""
    assert table.spread(samples) == said


def test_a_missed_aim_is_shown():
    """A missed aim stands out in the table."""
    text = table.render([row([2.0], [1.0], ratio=1.2), row([1.0], [400.0], seconds=1)])
    missed, met = text.splitlines()[2:]
    assert "2.00 x" in missed
    assert "**missed**" in missed
    assert "1/400" in met
    assert "| met |" in met


def test_only_what_is_between_the_markers_is_replaced(tmp_path):
    """The words around the table stay, and writing twice leaves one table."""
    path = tmp_path / "benchmarks.md"
    path.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write(path, [row([1.0], [2.0])])
    once = path.read_text()
    table.write(path, [row([1.0], [2.0])])
    assert path.read_text() == once
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert once.count("| build |") == 1


def test_a_file_without_markers_is_left_alone(tmp_path):
    """Without markers nothing is written, and the message says which lines to add."""
    path = tmp_path / "benchmarks.md"
    path.write_text("no table here\n")
    with pytest.raises(ValueError, match="add them"):
        table.write(path, [row([1.0], [2.0])])
    assert path.read_text() == "no table here\n"
