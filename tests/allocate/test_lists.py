"""Lists, filters, pages, one of each, drain and enable."""

import json
from typing import Any, cast

import grpc
import pytest

from hwprovisioner.allocate import lists as module
from hwprovisioner.allocate.codec import Codec
from hwprovisioner.allocate.lists import Lists
from hwprovisioner.allocate.telling.places import Places
from hwprovisioner.heartbeat.beats import Alive, Beat, BeatWriter
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.reading import Reader
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import resource_pb2
from hwprovisioner.v1.allocation_pb2 import (
    ALLOCATION_STATE_BOOKED,
    ALLOCATION_STATE_ENDED,
    ALLOCATION_STATE_QUEUED,
    ALLOCATION_STATE_READY,
    Requestor,
)
from hwprovisioner.v1.demand_pb2 import HostDemand
from support.asking import asking, resource, wanting
from support.eventually import eventually
from support.fake_manager import hypervisor, machine, manager
from support.refusals import refusal
from support.services import Running
from support.told_lab import NOW_MS, Records

STATES: Any = [ALLOCATION_STATE_READY, 99]


async def names(service: Running, **fields: Any) -> list[str]:
    response = await service.stub.ListResources(pb.ListResourcesRequest(**fields))
    return [each.spec.name for each in response.resources]


async def test_resources_are_listed_by_name_page_by_page(service: Running) -> None:
    async with manager(service.stub, "m", [machine(f"r{n}") for n in (3, 1, 2, 5, 4)]):
        found, token = [], ""
        while True:
            request = pb.ListResourcesRequest(page_size=2, page_token=token)
            response = await service.stub.ListResources(request)
            found.append([each.spec.name for each in response.resources])
            token = response.next_page_token
            if not token:
                break
        assert found == [["r1", "r2"], ["r3", "r4"], ["r5"]]


async def test_resources_are_filtered_by_demand_manager_and_whether_they_are_free(
    service: Running,
) -> None:
    shared = hypervisor("hv", cpus=4)
    async with (
        manager(service.stub, "m", [machine("a"), machine("big", cpus=64), shared]),
        manager(service.stub, "n", [machine("other")]),
        asking(service.stub, wanting(h={"resource": "a"})) as asked,
        asking(service.stub, wanting(h={"resource": "hv", "cpus": "3"})) as part,
    ):
        await asked.until("ready")
        await part.until("ready")
        assert await names(service) == ["a", "big", "hv", "other"]
        assert await names(service, manager="n") == ["other"]
        assert await names(service, demand=HostDemand(cpus="64")) == ["big"]
        assert await names(service, free=True) == ["big", "hv", "other"]
        two = HostDemand(cpus="2")
        assert await names(service, demand=two) == ["a", "big", "hv", "other"]
        assert await names(service, demand=two, free=True) == ["big", "other"]


async def test_allocations_are_filtered_by_state_and_user(service: Running) -> None:
    anna, ben = Requestor(user="anna"), Requestor(user="ben")
    async with (
        manager(service.stub, "m", [machine("a")]),
        asking(service.stub, requestor=anna) as running,
        asking(service.stub, requestor=ben) as waiting,
        asking(service.stub, requestor=ben) as ended,
    ):
        await running.until("ready")
        await ended.release()

        async def ids(**fields: Any) -> set[str]:
            response = await service.stub.ListAllocations(pb.ListAllocationsRequest(**fields))
            assert response.revision > 0
            return {each.id for each in response.allocations}

        assert await ids() == {running.id, waiting.id, ended.id}
        assert await ids(user="ben") == {waiting.id, ended.id}
        assert await ids(states=[ALLOCATION_STATE_QUEUED]) == {waiting.id}
        assert await ids(states=[ALLOCATION_STATE_READY, ALLOCATION_STATE_ENDED]) == {
            running.id,
            ended.id,
        }
        assert await ids(states=[ALLOCATION_STATE_READY], user="ben") == set()


async def test_a_listed_allocation_shows_its_lease_and_its_place_but_no_connection(
    service: Running,
) -> None:
    async with (
        manager(service.stub, "m", [machine("a")]),
        asking(service.stub) as running,
        asking(service.stub) as waiting,
    ):
        await running.until("ready")
        response = await service.stub.ListAllocations(pb.ListAllocationsRequest())
        found = {each.id: each for each in response.allocations}
        assert found[running.id].remaining_lease.seconds > 0
        assert not found[running.id].hosts["host"].HasField("connection")
        assert found[waiting.id].queue_place.place == 1


async def test_managers_are_listed_with_what_they_represent(service: Running) -> None:
    async with manager(service.stub, "b", [machine("x"), machine("y")]):
        async with manager(service.stub, "a"):
            pass

        async def away() -> list[str]:
            request = pb.ListManagersRequest(presences=[resource_pb2.PRESENCE_DISCONNECTED])
            return [each.id for each in (await service.stub.ListManagers(request)).managers]

        await eventually(away)
        listed = (await service.stub.ListManagers(pb.ListManagersRequest())).managers
        assert [(each.id, each.resource_count) for each in listed] == [("a", 0), ("b", 2)]


@pytest.mark.parametrize(
    ("method", "request_", "fields"),
    [
        ("ListAllocations", pb.ListAllocationsRequest(states=STATES), ["states[1]"]),
        ("ListAllocations", pb.ListAllocationsRequest(page_size=-1), ["page_size"]),
        ("ListResources", pb.ListResourcesRequest(page_token="?"), ["page_token"]),
        (
            "ListManagers",
            pb.ListManagersRequest(presences=[resource_pb2.PRESENCE_UNSPECIFIED]),
            ["presences[0]"],
        ),
        ("GetResource", pb.GetResourceRequest(), ["name"]),
        ("DrainResource", pb.DrainResourceRequest(name="a", reason="x" * 1025), ["reason"]),
        ("DrainResource", pb.DrainResourceRequest(reason="x" * 1025), ["name", "reason"]),
        ("EnableResource", pb.EnableResourceRequest(operator="eve"), ["name"]),
    ],
)
async def test_a_wrong_field_is_named(
    service: Running, method: str, request_: Any, fields: list[str]
) -> None:
    answer = await refusal(getattr(service.stub, method)(request_))
    assert answer.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (answer.reason, answer.fields) == ("BAD_REQUEST", fields)


@pytest.mark.parametrize("name", ["no-such", "x" * 1_000_000, "Ünïcode\n"])
async def test_a_resource_that_is_not_there_is_not_found(service: Running, name: str) -> None:
    for call in (
        service.stub.GetResource(pb.GetResourceRequest(name=name)),
        service.stub.DrainResource(pb.DrainResourceRequest(name=name)),
        service.stub.EnableResource(pb.EnableResourceRequest(name=name)),
    ):
        assert (await refusal(call)).reason == "NO_SUCH_RESOURCE"


async def test_a_drained_resource_keeps_its_holder_then_goes_into_maintenance(
    service: Running, redis_url: str
) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as holder:
        await holder.until("ready")
        drain = pb.DrainResourceRequest(name="a", reason="new disk", operator="eve")
        drained = (await service.stub.DrainResource(drain)).resource
        assert drained.admin_state == resource_pb2.ADMIN_STATE_DRAINING
        assert drained.reason == "draining: new disk (by eve)"
        async with Link(redis_url) as link:
            [told] = await BeatWriter(link, Keys()).write([Beat(holder.id, holder.token)])
        assert isinstance(told, Alive)
        assert told.draining == ("a",)
        async with asking(service.stub) as waiting:
            await waiting.waits_for("draining: new disk (by eve)")
            await holder.release()
            await eventually(lambda: is_in_maintenance(service, "a"))
            assert waiting.events[-1] == "queued"
            enable = pb.EnableResourceRequest(name="a", operator="eve")
            enabled = (await service.stub.EnableResource(enable)).resource
            assert enabled.admin_state == resource_pb2.ADMIN_STATE_ENABLED
            await waiting.until("ready")


async def is_in_maintenance(service: Running, name: str) -> bool:
    state = (await resource(service.stub, name)).admin_state
    return state == resource_pb2.ADMIN_STATE_MAINTENANCE


async def test_a_free_resource_is_in_maintenance_as_soon_as_it_is_drained(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        for _ in range(2):
            drain = pb.DrainResourceRequest(name="a")
            state = (await service.stub.DrainResource(drain)).resource.admin_state
            assert state == resource_pb2.ADMIN_STATE_MAINTENANCE


async def test_filters_by_name_and_alternatives_look_at_each_resource(service: Running) -> None:
    async with (
        manager(service.stub, "m", [machine("a"), machine("b"), machine("big", cpus=64)]),
        asking(service.stub, wanting(h={"resource": "b"})) as asked,
    ):
        await asked.until("ready")
        assert await names(service, demand=HostDemand(not_resources=["a"])) == ["b", "big"]
        assert await names(service, demand=HostDemand(where="resource.name != 'b'")) == ["a", "big"]
        either = HostDemand(any_of=[HostDemand(resource="b"), HostDemand(cpus="64")])
        assert await names(service, demand=either) == ["b", "big"]
        assert await names(service, demand=either, free=True) == ["big"]


async def test_wait_times_are_listed(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as running:
        await running.until("ready")
        async with asking(service.stub):
            listed = await service.stub.ListWaitTimes(pb.ListWaitTimesRequest())
            [found] = listed.classes
            assert (found.queued_count, found.granted_count) == (1, 1)
            assert found.demands == running.allocation.demands
            assert found.HasField("median_wait")
            assert not found.HasField("median_span")


BOOKING: dict[str, Any] = {
    "book_from_ms": NOW_MS + 60_000,
    "book_until_ms": NOW_MS + 120_000,
    "reservation": json.dumps({"h": {"resource": "r", "cpus": 4, "memory": 0, "gpus": []}}),
    "user": "ann",
}


def test_a_resource_shows_for_when_it_is_booked() -> None:
    records = Records()
    moved = BOOKING | {"reservation": BOOKING["reservation"].replace('"r"', '"other"')}
    records.queue("later", **BOOKING | {"book_from_ms": NOW_MS + 90_000, "state": "BOOKED"})
    records.queue("sooner", **BOOKING)
    records.queue("ended", **BOOKING | {"state": "ENDED"})
    records.queue("moved", **moved)
    records.machine("r", booked="later,sooner,ended,moved,forgotten")
    booked = Codec(records.view).resource(records.view.resources["r"]).booked
    assert [(each.allocation_id, each.user) for each in booked] == [
        ("sooner", "ann"),
        ("later", "ann"),
    ]
    assert booked[0].start_time.ToMilliseconds() == NOW_MS + 60_000
    assert booked[0].end_time.ToMilliseconds() == NOW_MS + 120_000


def test_an_allocation_shows_its_booking_and_when_it_gives_way() -> None:
    records = Records()
    records.queue("a", **BOOKING | {"state": "BOOKED", "preempt_ms": NOW_MS})
    message = Codec(records.view).allocation(records.view.allocations["a"])
    assert message.state == ALLOCATION_STATE_BOOKED
    assert message.book_start_time.ToMilliseconds() == NOW_MS + 60_000
    assert message.book_end_time.ToMilliseconds() == NOW_MS + 120_000
    assert message.preempt_time.ToMilliseconds() == NOW_MS


def test_explanations_are_bounded_for_each_host_and_for_all_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_EXPLAINED", 5)
    monkeypatch.setattr(module, "MAX_EXPLAINED_IN_ALL", 8)
    records = Records()
    for number in range(9):
        records.machine(f"r{number}")
    places, codec = Places(records.view, records.lab), Codec(records.view)
    lists = Lists(records.view, records.lab, places, codec, cast("Reader", None))
    one = lists.explain(pb.ExplainRequest(demands=wanting(a={})))
    assert len(one.hosts["a"].resources) == 5
    four = lists.explain(pb.ExplainRequest(demands=wanting(a={}, b={}, c={}, d={"cpus": "1"})))
    assert {len(host.resources) for host in four.hosts.values()} == {2}
    assert four.availability == pb.AVAILABILITY_NOW
