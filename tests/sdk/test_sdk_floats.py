"""Distances in units in the last place, against the definition: counting neighbours."""

import math
import struct

from hypothesis import assume, given
from hypothesis import strategies as st
from samebits.rerun.floats import bits, ulp_distance

NUMBERS = st.floats(allow_nan=False)


@given(NUMBERS, st.integers(min_value=0, max_value=50))
def test_the_distance_counts_neighbours(value, steps):
    """n steps of nextafter are a distance of n, in both directions."""
    assume(abs(value) < 1e308)
    other = value
    for _ in range(steps):
        other = math.nextafter(other, math.inf)
    # -0.0 and 0.0 are one place, which nextafter never visits twice
    assert ulp_distance(value, other) == ulp_distance(other, value) == steps


@given(NUMBERS, NUMBERS)
def test_the_distance_is_zero_for_equal_values_only(a, b):
    """Distance 0 means equal, as Python's == means it."""
    assert (ulp_distance(a, b) == 0) == (a == b)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_the_distance_is_a_metric(a, b, c):
    """The way over a third value is never shorter."""
    assert ulp_distance(a, c) <= ulp_distance(a, b) + ulp_distance(b, c)


def test_known_distances():
    """One is 2**52 steps from two, the zeros are one place, and around them the smallest numbers are neighbours."""
    assert ulp_distance(1.0, 2.0) == 2**52
    assert ulp_distance(0.0, -0.0) == 0
    assert ulp_distance(-5e-324, 5e-324) == 2
    assert ulp_distance(1.7976931348623157e308, math.inf) == 1


def test_nothing_is_near_a_nan():
    """A NaN has no distance, not even to itself."""
    assert ulp_distance(math.nan, 1.0) is None
    assert ulp_distance(math.nan, math.nan) is None


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_bits_are_the_bits(pattern):
    """Every one of the 2**64 patterns but quieted NaNs comes back as itself."""
    value = struct.unpack(">d", pattern.to_bytes(8, "big"))[0]
    if not math.isnan(value):
        assert bits(value) == pattern


def test_bits_tell_signed_zeros_and_equal_nans():
    """-0.0 differs from 0.0, one NaN equals itself."""
    assert bits(0.0) != bits(-0.0)
    assert bits(math.nan) == bits(math.nan)
