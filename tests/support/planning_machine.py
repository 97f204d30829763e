"""A planner that is told of anything in any order, and what must hold after each decision."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hwprovisioner.allocate.demand import HostDemand, RelationKind, SetDemand
from hwprovisioner.allocate.matching import mismatch
from hwprovisioner.allocate.planning.board import Grant
from hwprovisioner.allocate.planning.inventory import bits
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.room import Room, Share
from support.planning import (
    SmallLab,
    a_set,
    can_be_placed,
    cpus,
    divisible,
    either,
    exclusive,
    fits,
    in_rack,
    related,
    with_labels,
)

SPECS = (
    exclusive("x"),
    exclusive("y"),
    exclusive("xy"),
    in_rack("1"),
    in_rack("2"),
    divisible(4, instances=3, labels="d"),
)
X, Y, D = with_labels("x"), with_labels("y"), with_labels("d")
RACK = HostDemand(labels=(("rack", None),))
HOSTS = (
    X,
    Y,
    HostDemand(),
    HostDemand(labels=D.labels, cpus=cpus(3).cpus),
    either(with_labels("xy"), Y),
    HostDemand(resource="r1"),
    HostDemand(labels=X.labels, not_resources=frozenset({"r0"})),
)
RELATED = (
    a_set(RACK, RACK, relations=[related(RelationKind.SAME, "h0", "h1")]),
    a_set(RACK, RACK, relations=[related(RelationKind.DIFFERENT, "h0", "h1")]),
)
DEMANDS = st.one_of(
    st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3).map(lambda hosts: a_set(*hosts)),
    st.sampled_from(RELATED),
)
NAMELESS = st.one_of(
    st.lists(st.sampled_from(HOSTS[:5]), min_size=1, max_size=3).map(lambda hosts: a_set(*hosts)),
    st.sampled_from(RELATED),
)
"""To which it does not matter what machines are called."""
NAMES = st.sampled_from([f"r{number}" for number in range(6)])


class PlanningMachine(RuleBasedStateMachine):
    """Holds never overlap, nobody waits in vain, and the index is what it should be."""

    @initialize(specs=st.lists(st.sampled_from(SPECS), min_size=1, max_size=5))
    def begin(self, specs: Sequence[Any]) -> None:
        """Begin with some machines."""
        self.lab = SmallLab(specs={f"r{number}": spec for number, spec in enumerate(specs)})
        self.closed: dict[str, bool] = {}
        self.holders: dict[str, tuple[str, list[str]]] = {}
        self.asked = 0

    @rule(name=NAMES, spec=st.sampled_from(SPECS))
    def a_machine_comes(self, name: str, spec: Any) -> None:
        """One comes, or has become something else although nothing uses it."""
        if not self.lab.used.get(name):
            self.closed.pop(name, None)
            self.lab.come(name, spec)

    @rule(name=NAMES)
    def a_machine_goes(self, name: str) -> None:
        """One goes that nothing uses."""
        if name in self.lab.specs and not self.lab.used[name]:
            self.closed.pop(name, None)
            self.lab.go(name)

    @rule(name=NAMES, can_open=st.booleans())
    def a_machine_closes(self, name: str, can_open: bool) -> None:
        """Nothing more of it is granted."""
        if name in self.lab.specs:
            self.closed[name] = can_open
            self._stand(name)

    @rule(name=NAMES)
    def a_machine_opens(self, name: str) -> None:
        """It can be granted again."""
        if self.closed.pop(name, None) is not None:
            self._stand(name)

    @rule(
        wanted=DEMANDS,
        user=st.sampled_from("uv"),
        priority=st.integers(0, 1),
        max_ms=st.sampled_from([0, 0, 1_000, 5_000]),
        excluded=st.sampled_from([frozenset[str](), frozenset({"r0"})]),
    )
    def a_request_comes(self, wanted: SetDemand, **more: Any) -> None:
        """Somebody asks for something."""
        self.asked += 1
        hosts = wanted.hosts.values()
        self.lab.ask(f"q{self.asked}", *hosts, relations=wanted.relations, **more)

    @rule(data=st.data())
    def a_request_goes(self, data: st.DataObject) -> None:
        """Somebody does not wait any longer."""
        if queued := sorted(self.lab.planner.queue.requests):
            self.lab.planner.remove(data.draw(st.sampled_from(queued)))

    @rule(data=st.data())
    def a_holder_ends(self, data: st.DataObject) -> None:
        """All that was granted to somebody is free again."""
        if not self.holders:
            return
        grant = data.draw(st.sampled_from(sorted(self.holders)))
        user, names = self.holders.pop(grant)
        self.lab.planner.queue.hold(user, -len(names))
        for name, share in self.shares.pop(grant):
            self.lab.used[name].remove(share)
        for name in names:
            self._stand(name)

    @rule(passed_ms=st.sampled_from([0, 100, 100, 20_000]))
    def decide(self, passed_ms: int) -> None:
        """Decide, and look at what was granted and at who waits."""
        self.lab.now_ms += passed_ms
        before = self._open_rooms()
        queued = list(self.lab.planner.queue.in_order())
        grants = self.lab.decide()
        self._check_grants(grants, {request.id: request for request in queued}, dict(before))
        if queued:
            granted = {grant.request for grant in grants}
            head = queued[0]
            can_be = can_be_placed(head.asked.demand, before, head.excluded)
            assert (head.id in granted) == can_be, (head.id, granted)
        self._nobody_waits_in_vain()

    # What must hold

    def _check_grants(
        self, grants: Iterable[Grant], queued: dict[str, Request], rooms: dict[str, Room]
    ) -> None:
        for grant in grants:
            request = queued[grant.request]
            hosts = request.asked.demand.hosts
            assert grant.hosts.keys() == hosts.keys()
            placed = {h: (p.resource, p.share) for h, p in grant.hosts.items()}
            for host, (name, share) in placed.items():
                assert name not in request.excluded
                assert fits(hosts[host], self.lab.specs[name], name)
                rooms[name] = _less(rooms[name], share)
            self._note(request, list(placed.values()))

    def _note(self, request: Request, placed: list[tuple[str, Share]]) -> None:
        names = [name for name, _ in placed]
        self.holders[request.id] = request.user, names
        self.shares[request.id] = placed
        self.lab.planner.queue.hold(request.user, len(names))
        assert request.id not in self.lab.planner.queue.requests

    @property
    def shares(self) -> dict[str, list[tuple[str, Share]]]:
        """By request, what it has of which machine."""
        if not hasattr(self, "_shares"):
            self._shares: dict[str, list[tuple[str, Share]]] = {}
        return self._shares

    def _nobody_waits_in_vain(self) -> None:
        """Whoever could be placed with what nobody keeps would have been."""
        kept = {name for names in self.lab.kept.values() for name in names}
        rooms = {name: room for name, room in self._open_rooms().items() if name not in kept}
        for request in self.lab.planner.queue.in_order():
            assert not can_be_placed(request.asked.demand, rooms, request.excluded), request.id

    @invariant()
    def the_index_is_what_can_be_worked_out(self) -> None:
        """Bits of shapes and of classes, from nothing but the machines and the queue."""
        if hasattr(self, "lab"):
            check_index(self.lab)

    def _open_rooms(self) -> dict[str, Room]:
        return {name: _room(self.lab, name) for name in self.lab.specs if name not in self.closed}

    def _stand(self, name: str) -> None:
        is_closed = name in self.closed
        self.lab.stand(name, "closed" if is_closed else "", can_open=self.closed.get(name, True))


def _less(room: Room, share: Share) -> Room:
    left = room.without(share)
    assert left.slots >= 0
    assert left.cpus >= 0 or room.spec.division is None
    assert room.cards.issuperset(share.gpus)
    return left


def _room(lab: SmallLab, name: str) -> Room:
    room = Room.whole(lab.specs[name])
    for share in lab.used[name]:
        room = room.without(share)
    return room


def check_index(lab: SmallLab) -> None:
    """Compare the index with what it is an index of."""
    planner = lab.planner
    inventory = planner.inventory
    shapes = {inventory.shape_of(name).index: inventory.shape_of(name) for name in lab.specs}
    assert sorted(inventory.names()) == sorted(lab.specs)
    assert {shape.spec for shape in shapes.values()} == set(lab.specs.values())
    kept = {name for keeper in planner.keepers.values() for name in keeper.names}
    for name in lab.specs:
        standing = inventory.standing(name)
        assert standing.room == _room(lab, name)
        # What is neither open nor kept would be lost.
        can_be = not standing.closed and standing.room.slots > 0 and name not in kept
        assert inventory.is_open(name) == can_be
    _check_shapes(lab, shapes)
    _check_classes(lab, shapes)
    _lacking_is_true(lab)


def _check_shapes(lab: SmallLab, shapes: dict[int, Any]) -> None:
    inventory = lab.planner.inventory
    assert set(bits(inventory.open)) == {
        i for i, shape in shapes.items() if shape.free or shape.roomy
    }
    _same(inventory.divisible, shapes, lambda shape: shape.spec.division is not None)
    for label, values in inventory.by_label.items():
        for value, mask in values.items():
            _same(mask, shapes, lambda s, pair=(label, value): pair in s.spec.labels)


def _check_classes(lab: SmallLab, shapes: dict[int, Any]) -> None:
    classes = lab.planner.classes
    for asked in classes.all_queued():
        options = [o for found in asked.hosts.values() for o in found if not o.option.resource]
        for shape in shapes.values():
            matches = any(not mismatch(o.option, shape.spec) for o in options)
            assert bool(shape.matches & asked.bit) == matches
            assert not shape.awaited & asked.bit or matches
            assert bool(asked.awaits >> shape.index & 1) == bool(shape.awaited & asked.bit)
    queued = [request.asked.bit for request in lab.planner.queue.requests.values()]
    assert set(queued) == {1 << place for place in bits(classes.queued)}


def _lacking_is_true(lab: SmallLab) -> None:
    """One more machine, of whatever kind there is, makes no set of a lacking class whole."""
    planner = lab.planner
    if planner._changed:
        return  # what has changed is counted by the pass that looks at it
    rooms = {
        n: planner.inventory.standing(n).room for n in lab.specs if planner.inventory.is_open(n)
    }
    for asked in planner.classes.all_queued():
        if not asked.bit & planner.classes.lacking:
            continue
        for name, spec in lab.specs.items():
            if name not in rooms:
                one_more = {**rooms, name: Room.whole(spec)}
                assert not can_be_placed(asked.demand, one_more), (asked.key, name)


def _same(mask: int, shapes: dict[int, Any], holds: Callable[..., bool]) -> None:
    assert set(bits(mask)) == {index for index, shape in shapes.items() if holds(shape)}
