"""When each resource could serve a host, and the first reason why not now. Pure."""

import functools
import itertools
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.matching import why_not
from hwprovisioner.allocate.planning.asked import HostClass, RequestClass
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.inventory import Shape, bits
from hwprovisioner.allocate.planning.wish import Scope, Wish
from hwprovisioner.allocate.telling.explain import why_never
from hwprovisioner.allocate.telling.reasons import at, listed
from hwprovisioner.allocate.telling.stock import FREE, IN_USE, Stock

_MAX_REASON = 400


class When(StrEnum):
    """When something can be had, named as in the protocol."""

    NOW = "NOW"
    LATER = "LATER"
    OUT_OF_SERVICE = "OUT_OF_SERVICE"
    NEVER = "NEVER"


@dataclass(frozen=True, slots=True)
class Verdict:
    """When a resource can serve a host."""

    resource: str
    when: When
    reason: str
    """The first reason why not now; empty if it can."""


class Judge:
    """Judges what there is at one moment for one set."""

    def __init__(self, finder: Finder, stock: Stock, asked: RequestClass, now_ms: int) -> None:
        """Judge what `finder` finds in; `stock` is the same, counted."""
        self._finder = finder
        self._inventory = finder.classes.inventory
        self._stock = stock
        self._wish = Wish(asked, now_ms=now_ms)

    def whole(self, lack: str) -> tuple[When, str]:
        """Return when the whole set can be had, were nobody before it, and that as a sentence.

        Args:
            lack: what it lacks now, see `waiting.lacking`.
        """
        wish = self._wish
        if self._finder.find(wish) is not None:
            return When.NOW, "can be had now"
        if self._finder.find(wish, Scope.COMING) is not None:
            return When.LATER, f"not now: {lack or 'what is free is not enough together'}"
        if self._finder.find(wish, Scope.EVER) is not None:
            return When.OUT_OF_SERVICE, f"not while {self._out_of_service()}"
        never = why_never(wish.asked, self._inventory)
        if never:
            reasons = [f"{host}: {why}" for host, why in never.items()]
            return When.NEVER, f"can never be had: {'; '.join(reasons)}"
        return When.NEVER, "can never be had: each host could, but not all of them at once"

    def hosts(self, demand: HostDemand, options: Sequence[HostClass], most: int) -> list[Verdict]:
        """Return when resources can serve a host, by name: `most` of those that can soonest."""
        found: dict[str, Verdict] = {}
        for name, shape in self._soonest(options):
            if len(found) >= most:
                break
            if name not in found:
                found[name] = self._judge(name, shape, demand, options)
        return sorted(found.values(), key=lambda verdict: verdict.resource)

    def _judge(
        self, name: str, shape: Shape, demand: HostDemand, options: Sequence[HostClass]
    ) -> Verdict:
        fitting = [each for each in options if _is_match(each, shape) and each.admits(name, shape)]
        if not fitting:
            return Verdict(name, When.NEVER, why_not(demand, shape.spec, name))
        standing = self._inventory.standing(name)
        if standing.closed:
            when = When.LATER if standing.can_open else When.OUT_OF_SERVICE
            return Verdict(name, when, standing.closed[:_MAX_REASON])
        reason = self._why_later(name, [each.option for each in fitting])
        return Verdict(name, When.LATER if reason else When.NOW, reason)

    def _why_later(self, name: str, wanted: Sequence[HostDemand]) -> str:
        state, room = self._stock.state_of(name), self._inventory.standing(name).room
        if state not in (FREE, IN_USE):
            return state
        short = [room.shortage(option) for option in wanted]
        if all(short):
            return short[0]
        until_booked = self._finder.room(self._wish, Scope.OPEN, name)
        if any(until_booked.share_for(option) for option in wanted):
            return ""
        return f"booked from {self._booked(name)}: say a maximum duration that ends before"

    def _booked(self, name: str) -> str:
        now_ms = self._wish.now_ms
        booked = self._finder.booked[name]
        first = min(each.from_ms for each in booked if each.until_ms > now_ms)
        return at(max(first, now_ms), now_ms)

    def _out_of_service(self) -> str:
        """Return what would have to come back for the hosts that cannot be had in service."""
        hosts = self._wish.asked.hosts
        placed = self._finder.place(self._wish, Scope.COMING).placed
        missing = {options: None for host, options in hosts.items() if host not in placed}
        found = dict[str, None]()
        for options in missing:
            away = [*itertools.islice(self._away(options), 2)]
            if away:
                more = ", as others are out of service" if len(away) > 1 else ""
                found[self._while(away[0]) + more] = None
        return listed(list(found)) or "some of its resources are out of service"

    def _away(self, options: Sequence[HostClass]) -> Iterator[str]:
        for option in options:
            if name := option.option.resource:
                yield from [name] if self._is_away(name) else []
                continue
            for index in bits(option.shapes):
                shape = self._inventory.shapes[index]
                yield from (name for name in sorted(shape.away) if option.admits(name, shape))

    def _is_away(self, name: str) -> bool:
        return name in self._inventory and not self._inventory.standing(name).can_open

    def _while(self, name: str) -> str:
        closed = self._inventory.standing(name).closed[:_MAX_REASON]
        if closed.startswith("its "):
            return f"{name}'s {closed.removeprefix('its ')}"
        return f"{name} is {'in ' if closed.startswith('maintenance') else ''}{closed}"

    def _soonest(self, options: Sequence[HostClass]) -> Iterator[tuple[str, Shape]]:
        """Return all resources, those that may be had soonest first, some of them repeatedly."""
        inventory = self._inventory
        for name in (each.option.resource for each in options):
            if name in inventory:
                yield name, inventory.shape_of(name)
        mask = functools.reduce(operator.or_, (each.shapes for each in options))
        matching = [inventory.shapes[index] for index in bits(mask)]
        in_turn = [*itertools.product((_open, _in_service, _all), matching)]
        for names, shape in itertools.chain(in_turn, ((_all, each) for each in inventory.shapes)):
            for name in names(shape):
                yield name, shape


def _open(shape: Shape) -> Iterator[str]:
    yield from shape.free
    yield from (name for _, name in reversed(shape.roomy))


def _in_service(shape: Shape) -> Iterator[str]:
    return (name for name in shape.names if name not in shape.away)


def _all(shape: Shape) -> Iterator[str]:
    return iter(shape.names)


def _is_match(option: HostClass, shape: Shape) -> bool:
    return bool(option.shapes & 1 << shape.index)
