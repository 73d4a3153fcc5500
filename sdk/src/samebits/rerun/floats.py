"""Distances between float64 values, in units in the last place."""

from __future__ import annotations

import math
import struct


def bits(value: float) -> int:
    """The 64 bits of a float as an unsigned integer, which tells NaNs and signed zeros apart."""
    return int.from_bytes(struct.pack(">d", value), "big")


def position(value: float) -> int:
    """The value's place in the order of all floats: neighbours differ by 1, both zeros are 0. Not for NaN."""
    pattern = bits(value)
    return pattern if pattern < 1 << 63 else (1 << 63) - pattern


def ulp_distance(a: float, b: float) -> int | None:
    """How many steps to the neighbouring float lead from one value to the other; None with a NaN."""
    if math.isnan(a) or math.isnan(b):
        return None
    return abs(position(a) - position(b))
