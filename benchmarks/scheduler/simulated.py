"""A simulated lab at full occupancy: whenever something ends, something else begins.

Whoever is granted something asks for the same again. So the queue is made up as it was in the
beginning for ever, and labs of all sizes are asked for the same. Were whatever asked for anew,
what is easily granted would leave the queue, and more so the more machines are given out.
"""

import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.scheduler import making
from hwprovisioner.allocate.demand import Spec
from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.board import Grant
from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.placement import Placed
from hwprovisioner.allocate.planning.planner import Planner
from hwprovisioner.allocate.room import Room

BOARDS = 3
_STEP_MS = 5
"""So much time passes from one decision to the next."""


@dataclass(frozen=True)
class Size:
    """How large a lab is."""

    resources: int = 10_000
    queued: int = 10_000
    classes: int = 1_000
    users: int = 50
    shapes: int = 200
    shared_percent: int = 0
    """So many of a hundred shapes are shared out."""


@dataclass(slots=True)
class Running:
    """What was granted."""

    asked: RequestClass
    user: str
    hosts: Mapping[str, Placed]


class SimulatedLab:
    """A planner, and what runs."""

    def __init__(self, size: Size, demands: making.Demands = making.plain, seed: int = 1) -> None:
        """Fill a lab until everything is in use and as much is queued as is to be."""
        self.size = size
        self.planner = Planner()
        self.draw = random.Random(seed)
        self.now_ms = 0
        self._turn = 0
        self._asked: dict[str, tuple[RequestClass, str]] = {}
        self._running: list[Running] = []
        self._add_resources(making.specs(min(size.shapes, size.resources), size.shared_percent))
        self.board = self.planner.classes.get("board", making.BOARD_DEMAND)
        self.classes = self._feasible(demands)
        self._fill()

    def _add_resources(self, specs: list[Spec]) -> None:
        for number in range(self.size.resources):
            spec = specs[number % len(specs)]
            self.planner.set_resource(f"server-{number}", Standing(Room.whole(spec)))
        for number in range(BOARDS):
            room = Room.whole(making.BOARD_SPEC)
            self.planner.set_resource(f"board-{number}", Standing(room))

    def _feasible(self, demands: making.Demands) -> list[RequestClass]:
        """Return as many classes as are to be, none of which could never be served."""
        found: list[RequestClass] = []
        number = 0
        while len(found) < self.size.classes:
            asked = self.planner.classes.get(f"class-{number}", demands(number))
            number += 1
            if self.planner.feasible(asked):
                found.append(asked)
        return found

    def _fill(self) -> None:
        """Have as much as can be in use, and as much queued as is to be, of all classes alike."""
        tenth = max(1, self.size.resources // 10)
        while True:
            for _ in range(tenth):
                self.submit(self.draw.choice(self.classes))
            if not self.decide():
                break
        for request_id in list(self._asked):
            self.leave(request_id)
        while len(self.planner.queue) < self.size.queued:
            for _ in range(self.size.queued - len(self.planner.queue)):
                self.submit(self.draw.choice(self.classes))
            self.decide()

    def leave(self, request_id: str) -> None:
        """Take a request back."""
        self.planner.remove(request_id)
        del self._asked[request_id]

    def request(self, asked: RequestClass, user: str = "", priority: int = 0) -> Request:
        """Return a new request, of whomever if nobody is named."""
        self._turn += 1
        user = user or f"user-{self.draw.randrange(self.size.users)}"
        request_id = f"request-{self._turn}"
        self._asked[request_id] = asked, user
        return Request(request_id, user, asked, priority, self._turn)

    def submit(self, asked: RequestClass, user: str = "") -> None:
        """Queue one more request of a class, of whomever if nobody is named."""
        self.planner.add(self.request(asked, user))

    def decide(self) -> list[Grant]:
        """Decide, and note what runs from then on."""
        self.now_ms += _STEP_MS
        grants = self.planner.decide(self.now_ms)
        self._begin(grants)
        return grants

    def _begin(self, grants: Iterable[Grant]) -> None:
        for grant in grants:
            asked, user = self._asked.pop(grant.request)
            self.planner.queue.hold(user, len(grant.hosts))
            self._running.append(Running(asked, user, grant.hosts))

    def end_one(self) -> Running:
        """Let something end that runs, whatever it is; it still has to be told to the planner."""
        place = self.draw.randrange(len(self._running))
        self._running[place], self._running[-1] = self._running[-1], self._running[place]
        return self._running.pop()

    def freed(self, ended: Running) -> list[tuple[str, Standing]]:
        """Return how the resources stand that something has left."""
        standings = []
        for placed in ended.hosts.values():
            room = self.planner.inventory.standing(placed.resource).room
            standings.append((placed.resource, Standing(room.with_again(placed.share))))
        return standings

    def time_freed(self) -> tuple[float, list[Grant]]:
        """Let one end; return the time from there to what is granted, in s, and that."""
        self.now_ms += _STEP_MS
        ended = self.end_one()
        standings = self.freed(ended)
        start = time.perf_counter()
        self.planner.queue.hold(ended.user, -len(ended.hosts))
        for name, standing in standings:
            self.planner.set_resource(name, standing)
        grants = self.planner.decide(self.now_ms)
        passed = time.perf_counter() - start
        self._begin(grants)
        # What nobody waits for goes to who had it.
        for again in self._running[-len(grants) :] if grants else [ended]:
            self.submit(again.asked, again.user)
        return passed, grants

    def time_submit(self) -> float:
        """Return the time from a submit to its grant, in s: what it asks for is free."""
        self.decide()  # what was queued for what was granted
        self.now_ms += _STEP_MS
        request = self.request(self.board)
        start = time.perf_counter()
        self.planner.add(request)
        grants = self.planner.decide(self.now_ms)
        passed = time.perf_counter() - start
        [grant] = grants
        del self._asked[grant.request]
        [placed] = grant.hosts.values()
        room = self.planner.inventory.standing(placed.resource).room
        self.planner.set_resource(placed.resource, Standing(room.with_again(placed.share)))
        self.planner.decide(self.now_ms)
        return passed

    def time_waiting(self) -> float:
        """Return the time of a submit that has to wait, in s; it leaves again."""
        self.now_ms += _STEP_MS
        request = self.request(self.draw.choice(self.classes))
        start = time.perf_counter()
        self.planner.add(request)
        grants = self.planner.decide(self.now_ms)
        passed = time.perf_counter() - start
        self._begin(grants)
        if not grants:
            self.leave(request.id)
        return passed
