"""The day in virtual time: the lab's own planner, accounts and policy, and a heap of events.

A request comes, is granted when the planner says so, holds its hosts for the time until they are
ready and as long as it lasts, and its hosts are free again when they are clean. All that happens in
one instant is taken in before the planner decides. Nothing else is decided here.
"""

import heapq
import itertools
from collections.abc import Mapping, Sequence

from hwprovisioner.allocate.accounts import Accounts, Hosts
from hwprovisioner.allocate.planning.board import Grant
from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.placement import Placed
from hwprovisioner.allocate.planning.planner import Planner
from hwprovisioner.allocate.room import Room
from hwprovisioner.allocate.simulate.floor import Floor
from hwprovisioner.allocate.simulate.scenario import Scenario
from hwprovisioner.allocate.simulate.trace import HostRun, Run, Trace, part_of
from hwprovisioner.allocate.simulate.watching import Watch
from hwprovisioner.allocate.simulate.workload import Job

START_MS = 1_767_225_600_000
"""A midnight: use is counted by hours since the epoch."""

_Event = tuple[int, int, str, str, str]
"""When, in what order, what, of which request, and on which machine."""


class Day:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, jobs: Sequence[Job], *, backfill: bool) -> None:
        """Begin with a free lab and no past.

        Args:
            scenario: the lab and the policy.
            jobs: what comes, from `jobs_of`.
            backfill: whether sets lend what they keep, whatever the policy says.
        """
        self._scenario = scenario
        self._machines = {machine.name: machine for machine in scenario.machines}
        self._accounts = Accounts(scenario.policy)
        self._planner = Planner(
            self._accounts.average,
            self._accounts.weight,
            self._over_quota,
            self._on_grant,
            backfill=backfill,
        )
        self._planner.finder.turnover = lambda name: self._machines[name].clean_ms
        self._floor = Floor(self._machines)
        self._trace = Trace({job.id: Run(job) for job in jobs})
        self._watch = Watch(self._planner, self._trace)
        self._over: set[str] = set()
        """Who was refused something by a quota since the last time it was looked at."""
        self._events: list[_Event] = []
        self._order = itertools.count()
        for name, machine in self._machines.items():
            self._planner.set_resource(name, Standing(Room.whole(machine.spec)))
        for job in jobs:
            self._push(job.submit_ms, "come", job.id)

    def run(self) -> Trace:
        """Go through the day, and return what happened."""
        while self._events and self._events[0][0] < self._scenario.duration_ms:
            now_ms = self._events[0][0]
            while self._events and self._events[0][0] == now_ms:
                _, _, what, request, machine = heapq.heappop(self._events)
                self._trace.events += 1
                self._take_in(what, request, machine, now_ms)
            self._decide(now_ms)
        return self._trace

    def never(self) -> dict[str, str]:
        """Return by stream why nothing it asks for could ever be granted."""
        found = {}
        for stream in self._scenario.streams:
            asked = self._planner.classes.get(stream.key, stream.demand)
            if not self._planner.feasible(asked):
                found[stream.name] = "nothing of this lab could ever satisfy these demands"
            elif why := self._accounts.never(stream.user, stream.demand.hosts):
                found[stream.name] = why
        return found

    def _push(self, at_ms: int, what: str, request: str, machine: str = "") -> None:
        heapq.heappush(self._events, (at_ms, next(self._order), what, request, machine))

    def _take_in(self, what: str, request: str, machine: str, now_ms: int) -> None:
        match what:
            case "come":
                self._come(self._trace.runs[request].job)
            case "end":
                self._end(self._trace.runs[request], now_ms)
            case "clean":
                self._free(self._trace.runs[request].job.stream.user, request, machine)

    def _come(self, job: Job) -> None:
        stream = job.stream
        asked = self._planner.classes.get(stream.key, stream.demand)
        self._planner.add(
            Request(job.id, stream.user, asked, stream.priority, job.turn, job.max_ms)
        )

    def _end(self, run: Run, now_ms: int) -> None:
        user = run.job.stream.user
        self._accounts.ended(user, run.job.id, START_MS + now_ms)
        self._planner.queue.hold(user, -run.job.hosts)
        for number, host in enumerate(run.hosts):
            self._push(host.freed_ms, "clean", run.job.id, f"{number}")

    def _free(self, user: str, request: str, number: str) -> None:
        machine = self._trace.runs[request].hosts[int(number)].machine
        hold = f"{request}/{number}"
        self._accounts.discharge(hold)
        standing, ends_ms = self._floor.free(machine, hold)
        free_ms = self._planner.finder.free_again(machine, ends_ms)
        self._planner.set_resource(machine, standing, free_ms)
        shares = self._accounts.members(user)
        if self._over and any(shares(other) for other in self._over):
            self._over = {other for other in self._over if not shares(other)}
            waiting = self._planner.queue.requests.values()
            self._planner.look_again([each.id for each in waiting if shares(each.user)])
            self._watch.forget_refusals(shares)

    def _over_quota(self, request: Request, found: Mapping[str, Placed]) -> str:
        why = self._accounts.over(request.user, self._wanted(found))
        if why:
            self._over.add(request.user)
            self._watch.refused(request)
        return why

    def _on_grant(self, request: Request, found: Mapping[str, Placed]) -> None:
        for number, host in enumerate(self._wanted(found)):
            self._accounts.charge(f"{request.id}/{number}", request.user, request.id, [host])
        self._watch.before(request, found)

    def _wanted(self, found: Mapping[str, Placed]) -> Hosts:
        return [
            (p.share.cpus, len(p.share.gpus), self._machines[p.resource].spec.labels)
            for p in found.values()
        ]

    def _decide(self, now_ms: int) -> None:
        grants = self._planner.decide(START_MS + now_ms)
        self._watch.after(START_MS, now_ms)
        for grant in grants:
            self._begin(grant, now_ms)

    def _begin(self, grant: Grant, now_ms: int) -> None:
        run = self._trace.runs[grant.request]
        job, user = run.job, run.job.stream.user
        machines = [self._machines[placed.resource] for placed in grant.hosts.values()]
        run.start_ms = now_ms
        run.end_ms = now_ms + job.held_ms(max(machine.prepare_ms for machine in machines))
        self._accounts.began(user, job.id, job.hosts, START_MS + now_ms)
        self._planner.queue.hold(user, job.hosts)
        until_ms = START_MS + now_ms + job.max_ms if job.max_ms else 0
        hosts = []
        for number, placed in enumerate(grant.hosts.values()):
            machine, hold = machines[number], f"{job.id}/{number}"
            self._floor.take(machine.name, hold, placed.share, until_ms)
            part = part_of(machine.spec, placed.share.cpus)
            hosts.append(HostRun(machine.name, part, run.end_ms + machine.clean_ms))
        run.hosts = tuple(hosts)
        self._push(run.end_ms, "end", job.id)
