"""Distances between float64 values, in units in the last place."""

from __future__ import annotations

import math
import struct


def bits(value: float) -> int:
    """The 64 bits of a float as an unsigned integer: equal bits, equal value, NaNs and signed zeros included."""
    return int.from_bytes(struct.pack(">d", value), "big")


def position(value: float) -> int:
    """The value's place in the order of all floats: neighbours differ by 1, both zeros are 0. Not for NaN."""
    pattern = bits(value)
    return pattern if pattern < 1 << 63 else (1 << 63) - pattern


def ulp_distance(a: float, b: float) -> int | None:
    """How many floats lie between two values, plus one; 0 for equal values (and 0.0, -0.0); None with a NaN."""
    if math.isnan(a) or math.isnan(b):
        return None
    return abs(position(a) - position(b))
