"""Who gives way to a request of higher priority. Pure.

Only where the policy has it, and only to make room for a set as a whole: nobody gives way for what
would still lack something. Of several ways the one is taken that costs least: the lowest priorities
first, then those that have run for the shortest time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hwprovisioner.allocate.planning.classes import HostClass
from hwprovisioner.allocate.planning.inventory import Inventory, bits
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.placement import Candidate, place
from hwprovisioner.allocate.room import Room, Share

_LOOKED_AT = 64
"""So many of those who could give way are considered for a request."""


@dataclass(frozen=True, slots=True)
class Running:
    """An allocation that has hosts."""

    id: str
    priority: int
    since_ms: int
    hosts: tuple[tuple[str, Share], ...]
    """The resources that it has, and what of them."""


def victims(
    request: Request,
    running: Sequence[Running],
    soon: Sequence[tuple[str, Share]],
    inventory: Inventory,
    gap: int,
) -> tuple[Running, ...]:
    """Return who has to give way so that a request can be had whole; none if that does not help.

    Args:
        request: one that waits.
        running: those who may give way, in any order.
        soon: what is being cleaned, and will be free without anybody's giving way.
        inventory: the resources as they are.
        gap: by so much the request's priority has to be higher, or more.
    """
    cleaned = Running("", 0, 0, tuple(soon))
    if _fits(request, [cleaned], inventory):
        return ()
    useful = _useful(request, inventory)
    lower = [
        each
        for each in running
        if request.priority - each.priority >= gap
        and any(useful(name) for name, _ in each.hosts)
    ]
    lower.sort(key=lambda each: (each.priority, -each.since_ms, each.id))
    chosen: list[Running] = []
    for each in lower[:_LOOKED_AT]:
        chosen.append(each)
        if _fits(request, [cleaned, *chosen], inventory):
            return tuple(_needed(request, cleaned, chosen, inventory))
    return ()


def _needed(
    request: Request, cleaned: Running, chosen: Sequence[Running], inventory: Inventory
) -> Sequence[Running]:
    """Leave out whoever need not give way: those of the highest priority are spared first."""
    needed = list(chosen)
    for each in reversed(chosen):
        rest = [other for other in needed if other is not each]
        if rest and _fits(request, [cleaned, *rest], inventory):
            needed = rest
    return needed


def _useful(request: Request, inventory: Inventory) -> Callable[[str], bool]:
    shapes = 0
    for options in request.asked.hosts.values():
        for option in options:
            shapes |= option.shapes

    def useful(name: str) -> bool:
        if name not in inventory or name in request.excluded:
            return False
        is_fit = inventory.standing(name).can_open and not inventory.standing(name).closed
        return is_fit and bool(shapes & 1 << inventory.shape_of(name).index)

    return useful


def _fits(request: Request, gone: Sequence[Running], inventory: Inventory) -> bool:
    """Say whether a request could be had whole, were some allocations gone."""
    freed: dict[str, Room] = {}
    for each in gone:
        for name, share in each.hosts:
            if name in inventory:
                before = freed.get(name) or inventory.standing(name).room
                freed[name] = before.with_again(share)
    candidates = {
        host: _candidates(request, options, freed, inventory)
        for host, options in request.asked.hosts.items()
    }
    rooms: Mapping[str, Room] = freed

    def room(name: str) -> Room:
        return rooms.get(name) or inventory.standing(name).room

    return place(candidates, room, request.asked.demand.relations).is_whole


def _candidates(
    request: Request,
    options: Sequence[HostClass],
    freed: Mapping[str, Room],
    inventory: Inventory,
) -> list[Candidate]:
    found: list[Candidate] = []
    useful = _useful(request, inventory)
    for option in options:
        names = [name for name in freed if useful(name)]
        for index in bits(option.shapes & inventory.open):
            shape = inventory.shapes[index]
            open_names = [*shape.free, *(name for _, name in shape.roomy)]
            names += [n for n in open_names if n not in freed][: len(request.asked.hosts)]
        found += [
            (name, option.option)
            for name in names
            if option.shapes & 1 << inventory.shape_of(name).index
            and name not in request.excluded
            and option.admits(name, inventory.shape_of(name))
        ]
    return found
