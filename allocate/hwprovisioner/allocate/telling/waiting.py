"""What a queued request waits for, for people to read. Pure.

What a request lacks follows from what it asks for, and is worked out once for all that ask for the
same; its quota, its place and who gives way to it are its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwprovisioner.allocate.planning.asked import HostClass
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.wish import Wish
from hwprovisioner.allocate.telling.reasons import about, at, counted, listed
from hwprovisioner.allocate.telling.stock import FREE, IN_USE, Count, Stock

_TAKEN = "for another of its hosts"
_OWN = "kept for it until there is enough"
_APART = "free, but not together with the rest"

NextFree = Callable[[tuple[HostClass, ...]], int]
"""Tells when the next resource for some options is expected to be free, 0 if nobody knows."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What only a request itself waits for."""

    over_quota: str = ""
    """Why its user may not have it now."""
    before: int = 0
    """So many requests are before it that want some of the same."""
    giving_way: int = 0
    """So many allocations give way to it."""
    given_way_ms: int = 0
    """When the last of them has."""
    failure: str = ""
    """What went wrong when it was granted before."""


def waits_for(waiting: Waiting, lack: str, now_ms: int) -> str:
    """Return what a request waits for.

    Args:
        waiting: what is particular to it.
        lack: what all that ask for the same lack, see `lacking`; empty for nothing.
        now_ms: now, in ms since the epoch.
    """
    failure = f" (before: {waiting.failure})" if waiting.failure else ""
    if waiting.over_quota:
        return waiting.over_quota + failure
    parts = []
    if waiting.giving_way:
        many = f"{_number(waiting.giving_way, 'allocation gives', 'allocations give')} way"
        parts.append(f"pre-empting: {many} in {about(waiting.given_way_ms - now_ms)}")
    if lack:
        parts.append(lack)
    if waiting.before:
        verb = _number(waiting.before, "request is", "requests are")
        parts.append(f"{verb} before it for the same")
    return ("; ".join(parts) or "its turn") + failure


def lacking(finder: Finder, stock: Stock, wish: Wish, next_free: NextFree) -> str:
    """Return what of a set cannot be had now and why, empty if all of it could be.

    Args:
        finder: finds in what there is.
        stock: the same, counted.
        wish: what is asked for; with what it keeps itself in `also`.
        next_free: tells when the next is free.
    """
    placed = finder.find(wish) if wish.asked.lone else finder.place(wish).placed
    hosts = wish.asked.hosts
    missing: dict[tuple[HostClass, ...], list[str]] = {}
    for host, options in hosts.items():
        if host not in (placed or {}):
            missing.setdefault(options, []).append(host)
    if not missing:
        return ""
    taken = {each.resource: _TAKEN for each in (placed or {}).values()}
    lacks = []
    for options, names in missing.items():
        kept = {name: _own(finder, name, options) for name in wish.also}
        count = stock.count(options, wish, kept | taken)
        said = _count_text(count, next_free(options), wish.now_ms)
        lacks.append(f"{_names(names)}: {said}")
    could = len(hosts) - sum(map(len, missing.values()))
    had = f"{could} of {len(hosts)} hosts could be had now; " if len(hosts) > 1 else ""
    return had + listed(lacks)


def _own(finder: Finder, name: str, options: Sequence[HostClass]) -> str:
    """Return why what a request keeps itself does not do for a host."""
    room = finder.classes.inventory.standing(name).room
    return room.shortage(options[0].option) or _OWN


def _count_text(count: Count, next_free_ms: int, now_ms: int) -> str:
    noun = "resource matches" if count.total == 1 else "resources match"
    states = dict(count.states)
    if FREE in states:
        states[_APART] = states.pop(FREE)
    used = states.pop(IN_USE, 0)
    parts = []
    if used:
        soon = f", next expected free in {about(next_free_ms - now_ms)}" if next_free_ms else ""
        parts.append(f"{used} {IN_USE}{soon}")
    if states:
        parts.append(counted(states))
    if count.booked:
        parts.append(_booked_text(count, now_ms))
    return f"{count.total} {noun}: {'; '.join(parts)}"


def _booked_text(count: Count, now_ms: int) -> str:
    verb = "is" if count.booked == 1 else "are"
    if count.booked_ms <= now_ms:
        return f"{count.booked} {verb} reserved for a booking whose time has come"
    return (
        f"{count.booked} {verb} booked from {at(count.booked_ms, now_ms)}:"
        " say a maximum duration that ends before"
    )


def _names(hosts: Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{hosts[0]} and {len(hosts) - 1} more like it"


def _number(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
