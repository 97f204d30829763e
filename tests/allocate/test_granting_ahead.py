"""What is granted together with what makes it possible: a request that comes, a machine cleaned."""

import asyncio
from typing import Any

import pytest

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.policy import Policy, Quota, UserPolicy
from hwprovisioner.allocate.scheduler import Scheduler
from hwprovisioner.state import resp
from hwprovisioner.state.care import Election
from hwprovisioner.state.grants import GrantRefused, Grants
from hwprovisioner.state.model import Allocation, Hold
from hwprovisioner.state.scripts import script
from support.asking import asking, new_request, wanting
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.lab_log import ANY, BIG, Log, queued
from support.services import Running


@pytest.fixture
def lab(log: Log) -> Lab:
    """A lab of one machine, `a`."""
    log.manager("m")
    log.resource("a")
    return Lab(log.view)


def request(name: str, demands: str = ANY, **more: Any) -> Allocation:
    return Allocation(id=name, demands=demands, **more)


def test_what_can_be_had_is_taken_and_not_queued_when_it_is(lab: Lab, log: Log) -> None:
    grant = lab.decide_ahead(request("one"))
    assert grant
    assert [placed.resource for placed in grant.hosts.values()] == ["a"]
    log.allocation("one")
    log.allocation("two")
    assert queued(lab) == ["two"]
    assert lab.decide() == []


def test_what_was_refused_is_queued_whenever_that_comes(lab: Lab, log: Log) -> None:
    first = lab.decide_ahead(request("one"))
    assert first
    lab.take_back(first)
    assert queued(lab) == []
    log.allocation("one")
    assert queued(lab) == ["one"]
    [grant] = lab.decide()
    lab.take_back(grant)
    assert queued(lab) == ["one"]


def test_what_came_back_after_its_grant_is_queued(lab: Lab, log: Log) -> None:
    assert lab.decide_ahead(request("one"))
    log.allocation("one")
    log.change("allocation", "one", {"state": "PREPARING"})
    log.change("allocation", "one", {"state": "QUEUED"})
    assert queued(lab) == ["one"]


def test_a_lab_that_is_read_anew_queues_what_is(lab: Lab, log: Log) -> None:
    assert lab.decide_ahead(request("one"))
    log.allocation("one")
    lab.follow(None)
    assert queued(lab) == ["one"]


@pytest.mark.parametrize("wanted", [request("one", BIG), request("one", tolerates=True)])
def test_what_cannot_be_had_at_once_leaves_nothing_behind(lab: Lab, wanted: Allocation) -> None:
    assert lab.decide_ahead(wanted) is None
    assert queued(lab) == []
    assert not lab.impossible()
    assert lab.decide_ahead(request("two"))


def test_nobody_who_waits_is_overtaken(lab: Lab, log: Log) -> None:
    log.allocation("large", demands=BIG)
    assert queued(lab) == ["large"]
    assert lab.decide_ahead(request("small")) is None


@pytest.fixture
def cleaned(lab: Lab, log: Log) -> Hold:
    """A hold of the machine, which its manager has just cleaned."""
    log.resource("a", holds="a.1", used_slots=1, used_cpus=4, fence=1)
    log.hold("a.1", "a", "before", state="CLEANING", cpus=4)
    return log.view.holds["a.1"]


def be_free(log: Log) -> None:
    log.change("hold", "a.1")
    log.resource("a", fence=1)


def test_what_a_hold_had_is_taken_before_that_is_over(lab: Lab, log: Log, cleaned: Hold) -> None:
    log.allocation("one")
    log.allocation("two")
    assert lab.decide() == []
    [grant] = lab.decide_behind(cleaned)
    assert grant.request == "one"
    assert [placed.resource for placed in grant.hosts.values()] == ["a"]
    log.allocation("one", state="PREPARING")
    log.resource("a", holds="a.2", used_slots=1, used_cpus=4, fence=2)
    assert lab.decide() == []
    assert queued(lab) == ["two"]


def test_a_hold_that_was_not_over_keeps_what_it_has(lab: Lab, log: Log, cleaned: Hold) -> None:
    log.allocation("one")
    [grant] = lab.decide_behind(cleaned)
    lab.take_back(grant)
    assert lab.decide() == []
    be_free(log)
    assert [each.request for each in lab.decide()] == ["one"]


def test_what_nobody_wants_is_in_use_until_the_hold_is_over(
    lab: Lab, log: Log, cleaned: Hold
) -> None:
    log.allocation("large", demands=BIG)
    assert lab.decide_behind(cleaned) == []
    log.allocation("small")
    assert lab.decide() == []
    be_free(log)
    assert [each.request for each in lab.decide()] == ["small"]


@pytest.mark.parametrize(
    "more", [{"admin": "DRAINING"}, {"health": "QUARANTINED"}, {"volunteered": 0}]
)
def test_what_is_not_lent_is_not_lent_ahead(
    lab: Lab, log: Log, cleaned: Hold, more: dict[str, object]
) -> None:
    log.allocation("one")
    log.change("resource", "a", more)
    assert lab.decide_behind(cleaned) == []


def test_whoever_may_be_charged_less_in_a_moment_is_waited_for(
    lab: Lab, log: Log, cleaned: Hold
) -> None:
    lab.take_policy(Policy(everyone=UserPolicy(quota=Quota(cpus=8))))
    log.allocation("one")
    assert lab.decide_behind(cleaned) == []


class Alone:
    """Elects whoever asks, and takes their grants, in the place of Redis."""

    def __init__(self) -> None:
        self.granted: list[str] = []

    async def elect(self, replica: str, length_ms: int) -> Election:
        return Election(1, 0)

    async def grant(self, allocation_id: str, holds: object, epoch: int) -> None:
        self.granted.append(allocation_id)


async def test_who_was_decided_on_first_is_granted_first(lab: Lab, log: Log, cleaned: Hold) -> None:
    alone: Any = Alone()
    scheduler = Scheduler("r", log.view, lab, alone, alone)
    log.allocation("one")
    log.allocation("two")
    loops = [
        asyncio.create_task(each()) for each in (scheduler.stand_for_election, scheduler.schedule)
    ]
    await eventually(lambda: scheduler.elected)
    scheduler.wake()
    scheduler.grant_behind(cleaned)
    log.resource("b")
    await eventually(lambda: len(alone.granted) == 2)
    assert alone.granted == ["one", "two"]
    for each in loops:
        each.cancel()


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The scripts that were sent to Redis, by the writes that sent them."""
    written: list[list[str]] = []
    names = {script(name).sha.encode(): name for name in ("submit", "cleaned", "grant")}
    write = resp.Connection._write

    def noting(connection: resp.Connection) -> None:
        found = [names[sha] for each in connection._unwritten for sha in names if sha in each]
        written.extend([found] if found else [])
        write(connection)

    monkeypatch.setattr(resp.Connection, "_write", noting)
    return written


async def test_what_queues_and_what_grants_is_written_to_redis_in_one_go(
    service: Running, written: list[list[str]]
) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")
    assert written == [["submit", "grant"]]


async def test_what_frees_and_what_grants_is_written_to_redis_in_one_go(
    service: Running, written: list[list[str]]
) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as first:
        await first.until("ready")
        async with asking(service.stub) as second:
            await first.release()
            await second.until("ready")
    assert written[:3] == [["submit", "grant"], ["submit"], ["cleaned", "grant"]]


async def test_a_request_that_had_been_queued_before_takes_nothing(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a"), machine("b")]):
        request = new_request(wanting(host={}))
        async with asking(service.stub, request) as first, asking(service.stub, request) as again:
            assert again.id == first.id
            async with asking(service.stub) as other:
                await other.until("ready")


async def test_a_grant_that_does_not_fit_is_planned_again(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter([GrantRefused("changed")])
    grant = Grants.grant

    async def refusing(grants: Grants, *args: Any, **more: Any) -> int:
        for refusal in refusals:
            raise refusal
        return await grant(grants, *args, **more)

    monkeypatch.setattr(Grants, "grant", refusing)
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")
