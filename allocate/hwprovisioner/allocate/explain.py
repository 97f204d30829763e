"""Saying why demands can or cannot be served. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.matching import mismatch
from hwprovisioner.allocate.room import Room

_REASONS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a resource can serve a host."""

    resource: str
    now: bool
    ever: bool
    reason: str
    """The first reason why not now; empty if it can."""


def explain_host(demand: HostDemand, rooms: Iterable[Room]) -> list[Verdict]:
    """Return for each resource whether it can serve a demand, by name."""
    verdicts = []
    for room in rooms:
        never = mismatch(demand, room.spec)
        reason = never or room.closed or room.shortage(demand)
        verdicts.append(Verdict(room.spec.name, not reason, not never, reason))
    return sorted(verdicts, key=lambda verdict: verdict.resource)


def why_never(hosts: Mapping[str, HostDemand], rooms: Iterable[Room]) -> dict[str, str]:
    """Return for each host that nothing could ever serve the reasons why, counted.

    Empty if each host alone could be served: then they cannot all be at once.
    """
    rooms = list(rooms)
    if not rooms:
        return dict.fromkeys(hosts, "no resource is registered: is a resource manager connected?")
    found = {}
    for host, demand in hosts.items():
        reasons = [mismatch(demand, room.spec) for room in rooms]
        if all(reasons):
            found[host] = f"none of {len(rooms)} resources fits: {_counted(reasons)}"
    return found


def waiting_for(
    hosts: Mapping[str, HostDemand],
    rooms: Mapping[str, Room],
    candidates: Mapping[str, Iterable[str]],
) -> str:
    """Return what a queued set waits for, for people to read.

    Args:
        hosts: the set.
        rooms: as they are, by resource.
        candidates: by host, the resources that match.
    """
    lacking = []
    for host, demand in hosts.items():
        names = list(candidates[host])
        reasons = [rooms[name].closed or rooms[name].shortage(demand) for name in names]
        if all(reasons):
            noun = "resource matches" if len(names) == 1 else "resources match"
            lacking.append(f"{host}: {len(names)} {noun}: {_counted(reasons)}")
    if not lacking:
        return "its turn" if len(hosts) == 1 else "enough resources at once"
    had = f"{len(hosts) - len(lacking)} of {len(hosts)} hosts could be had now; "
    shown = "; ".join(lacking[:_REASONS_SHOWN])
    more = len(lacking) - _REASONS_SHOWN
    return (had if len(hosts) > 1 else "") + shown + (f"; and {more} more" if more > 0 else "")


def _counted(reasons: Iterable[str]) -> str:
    counts = Counter(reasons).most_common()
    shown = ", ".join(_times(count, reason) for reason, count in counts[:_REASONS_SHOWN])
    return shown + (", and other reasons" if len(counts) > _REASONS_SHOWN else "")


def _times(count: int, reason: str) -> str:
    # "3 in use" reads well, "3 cpus: has 2" does not.
    if ":" not in reason:
        return f"{count} {reason}"
    return reason if count == 1 else f"{reason} ({count})"
