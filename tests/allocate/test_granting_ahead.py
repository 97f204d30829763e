"""What is granted together with being queued, as nobody else waits."""

from typing import Any

import pytest

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.state import resp
from hwprovisioner.state.grants import GrantRefused, Grants
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.scripts import script
from support.asking import asking, new_request, wanting
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


async def test_what_queues_and_what_grants_is_written_to_redis_in_one_go(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[str]] = []
    names = {script(name).sha.encode(): name for name in ("submit", "grant")}
    write = resp.Connection._write

    def noting(connection: resp.Connection) -> None:
        found = [names[sha] for each in connection._unwritten for sha in names if sha in each]
        written.extend([found] if found else [])
        write(connection)

    monkeypatch.setattr(resp.Connection, "_write", noting)
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")
    assert written == [["submit", "grant"]]


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
