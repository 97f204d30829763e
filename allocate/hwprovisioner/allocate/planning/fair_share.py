"""Fair share: who has had how much, and what that means for the order. Pure.

A user's share is counted in hosts. What counts is the hosts that the user holds now, plus the hosts
held on average in the recent past, in which the past counts half as much with each half-life (an
exponentially weighted moving average, as HTCondor's user priorities are and Slurm's fair tree). The
user's k-th queued request counts the k before it as well, so that one request of everybody
goes before the second of anybody (Zuul's relative priority). Both are divided by the user's weight.

What is held now counts as no less than that average. Otherwise whoever uses a lab in gusts, as sets
do that end all at once, would be looked at just when they hold nothing, and have up to twice as
much as somebody who uses it evenly.
"""

import math
from collections.abc import Iterable, Mapping

HOUR_MS = 3_600_000
FORGOTTEN_AFTER = 10
"""After so many half-lives, use counts for less than a thousandth and is forgotten."""


def average_held(hours: Mapping[int, int], half_life_ms: int, now_ms: int) -> float:
    """Return how many hosts were held on average, the past weighing less and less.

    Args:
        hours: host-milliseconds used, by hour since the epoch.
        half_life_ms: after which use counts half.
        now_ms: now, in ms since the epoch.
    """
    total = 0.0
    for hour, used_ms in hours.items():
        start = hour * HOUR_MS
        end = min(start + HOUR_MS, now_ms)
        if end > start:
            total += used_ms / (end - start) * _weight(start, end, half_life_ms, now_ms)
    return total


def average_of_running(running: Iterable[tuple[int, int]], half_life_ms: int, now_ms: int) -> float:
    """Return the same of what is held now and not counted by hour yet.

    Args:
        running: hosts, and since when they are held.
        half_life_ms: after which use counts half.
        now_ms: now, in ms since the epoch.
    """
    return sum(
        hosts * _weight(since_ms, now_ms, half_life_ms, now_ms)
        for hosts, since_ms in running
        if since_ms < now_ms
    )


def add_use(hours: dict[int, int], hosts: int, since_ms: int, until_ms: int) -> None:
    """Count use by hour, as the scripts that end what was granted do (``include/use.lua``)."""
    for hour in range(since_ms // HOUR_MS, until_ms // HOUR_MS + 1):
        span = min(until_ms, (hour + 1) * HOUR_MS) - max(since_ms, hour * HOUR_MS)
        if span > 0:
            hours[hour] = hours.get(hour, 0) + hosts * span


def oldest_hour(half_life_ms: int, now_ms: int) -> int:
    """Return the first hour that still counts."""
    return (now_ms - FORGOTTEN_AFTER * half_life_ms) // HOUR_MS


def _weight(since_ms: int, until_ms: int, half_life_ms: int, now_ms: int) -> float:
    """Return what holding one host for a span contributes to the average."""
    halves = math.log(2) / half_life_ms
    return math.exp((until_ms - now_ms) * halves) - math.exp((since_ms - now_ms) * halves)
