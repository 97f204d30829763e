"""What many measured values come to."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Percentiles(NamedTuple):
    """The middle, what 99 of 100 are within, and the most."""

    p50: float
    p99: float
    most: float


def percentiles(values: Sequence[float]) -> Percentiles:
    """Return those of two values or more, between neighbours where they fall between."""
    found = statistics.quantiles(values, n=100, method="inclusive")
    return Percentiles(found[49], found[98], max(values))
