"""What somebody who knows how long everything lasts could do: a packing, and a bound on all.

The packing is list scheduling: whenever something is free, the first in the order of a rule that
fits is given it, and nothing is ever kept. Several rules are tried. It owes nobody fairness and
may let sets wait for ever, so it is a hard thing to compare with. The bound is a maximum flow:
work flows from when it came to any later time on any machine that matches, cut into hosts and into
arbitrary slices. No schedule can use more.
"""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.inventory import Standing, bits
from hwprovisioner.allocate.planning.placement import Placed
from hwprovisioner.allocate.planning.wish import Wish
from hwprovisioner.allocate.room import Room
from hwprovisioner.allocate.simulate.floor import Floor
from hwprovisioner.allocate.simulate.flow import SINK, SOURCE, Edges, max_flow
from hwprovisioner.allocate.simulate.scenario import Scenario
from hwprovisioner.allocate.simulate.trace import part_of
from hwprovisioner.allocate.simulate.workload import Job

SLOTS = 96
"""Slices of time of the bound."""
_ANY = 1 << 62

_Rank = Callable[[Job], tuple[float, ...]]
RULES: dict[str, _Rank] = {
    "first come": lambda job: (job.turn,),
    "longest first": lambda job: (-job.lasts_ms, job.turn),
    "most hosts first": lambda job: (-job.hosts, -job.lasts_ms, job.turn),
    "most work first": lambda job: (-job.hosts * job.lasts_ms, job.turn),
}


@dataclass(frozen=True, slots=True)
class Packing:
    """The best packing that was found."""

    rule: str
    busy_ms: float


def best_packing(scenario: Scenario, jobs: Sequence[Job]) -> Packing:
    """Return the packing that uses the machines most."""
    packed = [Packing(rule, _Packer(scenario, jobs, rank).run()) for rule, rank in RULES.items()]
    return max(packed, key=lambda packing: packing.busy_ms)


class _Packer:
    def __init__(self, scenario: Scenario, jobs: Sequence[Job], rank: _Rank) -> None:
        self._scenario = scenario
        self._machines = {machine.name: machine for machine in scenario.machines}
        self._classes = Classes()
        self._finder = Finder(self._classes)
        self._floor = Floor(self._machines)
        self._rank = rank
        self._waiting: dict[str, list[tuple[tuple[float, ...], str]]] = defaultdict(list)
        self._jobs = {job.id: job for job in jobs}
        self._events: list[tuple[int, int, str, str]] = []
        """When, in what order, which request, or which hold of which machine ends."""
        self._order = itertools.count()
        self.busy_ms = 0.0
        for name, machine in self._machines.items():
            self._classes.inventory.put(name, Standing(Room.whole(machine.spec)))
        for job in jobs:
            self._push(job.submit_ms, job.id, "")

    def run(self) -> float:
        """Go through the day; return for how long machines were in use, added up."""
        day_ms = self._scenario.duration_ms
        while self._events and self._events[0][0] < day_ms:
            now_ms = self._events[0][0]
            dirty = set[str]()
            while self._events and self._events[0][0] == now_ms:
                _, _, request, machine = heapq.heappop(self._events)
                dirty |= self._take_in(request, machine)
            self._start_all(now_ms, dirty)
        return self.busy_ms

    def _push(self, at_ms: int, request: str, machine: str) -> None:
        heapq.heappush(self._events, (at_ms, next(self._order), request, machine))

    def _take_in(self, request: str, machine: str) -> set[str]:
        """Take in an event; returns the classes that may be granted something now."""
        if machine:
            self._classes.inventory.put(machine, *self._floor.free(machine, request))
            places = bits(self._classes.matching(machine))
            return {self._classes.at(place).key for place in places}
        job = self._jobs[request]
        heapq.heappush(self._waiting[job.stream.key], (self._rank(job), job.id))
        return {job.stream.key}

    def _start_all(self, now_ms: int, dirty: set[str]) -> None:
        heads = [(self._waiting[key][0], key) for key in dirty if self._waiting[key]]
        heapq.heapify(heads)
        while heads:
            (_, request), key = heapq.heappop(heads)
            job = self._jobs[request]
            asked = self._classes.get(key, job.stream.demand)
            found = self._finder.find(Wish(asked)) if self._finder.has_open(asked) else None
            if found is None:
                continue
            heapq.heappop(self._waiting[key])
            self._start(job, list(found.values()), now_ms)
            if self._waiting[key]:
                heapq.heappush(heads, (self._waiting[key][0], key))

    def _start(self, job: Job, found: Sequence[Placed], now_ms: int) -> None:
        machines = [self._machines[placed.resource] for placed in found]
        end_ms = now_ms + job.held_ms(max(machine.prepare_ms for machine in machines))
        for number, (placed, machine) in enumerate(zip(found, machines, strict=True)):
            hold, freed_ms = f"{job.id}/{number}", end_ms + machine.clean_ms
            self._classes.inventory.take(machine.name, placed.share, 0)
            self._floor.take(machine.name, hold, placed.share, 0)
            self._push(freed_ms, hold, machine.name)
            used_ms = min(freed_ms, self._scenario.duration_ms) - now_ms
            self.busy_ms += used_ms * part_of(machine.spec, placed.share.cpus)


def most_busy_ms(scenario: Scenario, jobs: Sequence[Job]) -> float:
    """Return for how long machines could be in use at most, added up, by anybody's schedule."""
    classes = Classes()
    for machine in scenario.machines:
        classes.inventory.put(machine.name, Standing(Room.whole(machine.spec)))
    slot_ms = -(-scenario.duration_ms // SLOTS)
    work = _work(scenario, jobs, classes, slot_ms)
    edges: Edges = {}
    edges.update(work.items())
    for slot in range(SLOTS):
        length_ms = max(0, min(slot_ms, scenario.duration_ms - slot * slot_ms))
        for shape in classes.inventory.shapes:
            edges[("shape", shape.index, slot), SINK] = length_ms * len(shape.names)
    for kind in {node[1] for _, node in work}:
        for slot in range(SLOTS):
            edges[("work", kind, slot), ("work", kind, slot + 1)] = _ANY
            for index in bits(kind):
                edges[("work", kind, slot), ("shape", index, slot)] = _ANY
    return float(max_flow(edges))


def _work(
    scenario: Scenario, jobs: Sequence[Job], classes: Classes, slot_ms: int
) -> dict[tuple[str, tuple[str, int, int]], int]:
    """Return the work that comes, by the shapes that it may be done on and by slice of time."""
    clean_ms = max(machine.clean_ms for machine in scenario.machines)
    prepare_ms = max(machine.prepare_ms for machine in scenario.machines)
    work: dict[tuple[str, tuple[str, int, int]], int] = defaultdict(int)
    hosts: dict[str, list[tuple[int, float]]] = {}
    for job in jobs:
        key = job.stream.key
        if key not in hosts:
            hosts[key] = _hosts(classes.get(key, job.stream.demand), classes)
        # A host of a set runs by itself here, but never beyond the end of the day.
        used_ms = min(job.held_ms(prepare_ms) + clean_ms, scenario.duration_ms - job.submit_ms)
        for shapes, part in hosts[key]:
            work[SOURCE, ("work", shapes, job.submit_ms // slot_ms)] += round(used_ms * part)
    return work


def _hosts(asked: RequestClass, classes: Classes) -> list[tuple[int, float]]:
    """Return for each host the shapes that it may be on, and the largest part it may have there."""
    found = []
    for options in asked.hosts.values():
        largest, every = 0.0, 0
        for option in options:
            every |= option.shapes
            for index in bits(option.shapes):
                spec = classes.inventory.shapes[index].spec
                share = Room.whole(spec).share_for(option.option)
                largest = max(largest, part_of(spec, share.cpus) if share else 0.0)
        found.append((every, largest))
    return found
