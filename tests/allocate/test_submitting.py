"""Submitting: once for each request id, refused when it can never be, explained before."""

import grpc
import pytest

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.demand_pb2 import Demands
from support.asking import asking, new_request, wanting
from support.fake_manager import hypervisor, ignore, machine, manager
from support.refusals import refusal
from support.services import Running


async def test_the_same_request_id_gives_the_same_allocation_and_token_in_every_state(
    service: Running,
) -> None:
    request = new_request(wanting(db={"cpus": "4"}))
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as holder:
        await holder.until("ready")
        async with asking(service.stub, request) as first:
            async with asking(service.stub, request) as queued:
                assert queued.events == ["queued"]
            await holder.release()
            await first.until("ready")
            async with asking(service.stub, request) as ready:
                assert ready.events == ["ready"]
                assert ready.allocation.hosts["db"].connection.address == "a.lab"
            await first.release()
            async with asking(service.stub, request) as ended:
                assert ended.events == ["ended"]
            assert {each.id for each in (queued, ready, ended)} == {first.id}
            assert {each.token for each in (queued, ready, ended)} == {first.token}


async def test_a_request_without_an_id_is_a_new_one_each_time(service: Running) -> None:
    request = new_request(request_id="")
    async with manager(service.stub, "m", [machine("a")]):
        async with asking(service.stub, request) as one, asking(service.stub, request) as two:
            assert one.id != two.id
            assert one.token != two.token


async def test_a_request_id_with_other_demands_is_refused(service: Running) -> None:
    request = new_request(wanting(db={"cpus": "4"}))
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub, request):
        request.demands.hosts["db"].cpus = "2"
        answer = await refusal(service.stub.Allocate(request).read())
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "REQUEST_ID_REUSED",
        )


async def test_the_requestor_may_change_and_the_request_stays_the_same(service: Running) -> None:
    request = new_request()
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub, request) as first:
        request.requestor.host = "another"
        async with asking(service.stub, request) as second:
            assert first.id == second.id


async def test_what_can_never_be_had_is_answered_at_once_for_each_host(service: Running) -> None:
    demands = wanting(db={"cpus": "64"}, edge={"labels": ["jetson"]}, ok={})
    async with manager(service.stub, "m", [machine("a"), machine("b")]):
        answer = await refusal(service.stub.Allocate(new_request(demands)).read())
        assert (answer.code, answer.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "UNSATISFIABLE",
        )
        assert answer.preconditions == {
            "db": "none of 2 resources fits: cpus: has 8, wants at least 64 (2)",
            "edge": "none of 2 resources fits: labels: lacks jetson (2)",
        }
        assert answer.metadata == answer.preconditions


async def test_an_empty_lab_asks_whether_a_manager_is_connected(service: Running) -> None:
    answer = await refusal(service.stub.Allocate(new_request()).read())
    assert "is a resource manager connected?" in answer.preconditions["host"]


async def test_hosts_that_cannot_all_be_had_at_once_are_refused(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        answer = await refusal(service.stub.Allocate(new_request(wanting(one={}, two={}))).read())
        assert answer.reason == "UNSATISFIABLE"
        why = "could be had, but not together with the others"
        assert answer.preconditions == {"one": why, "two": why}


@pytest.mark.parametrize("cpus", ["64", "8"])
async def test_a_refusal_about_very_many_hosts_still_reaches_the_caller(
    service: Running, cpus: str
) -> None:
    hosts = {f"{number:02}-{'x' * 60}": {"cpus": cpus} for number in range(64)}
    async with manager(service.stub, "m", [machine(f"r{n}", cpus=n) for n in range(9)]):
        answer = await refusal(service.stub.Allocate(new_request(wanting(**hosts))).read())
        assert answer.reason == "UNSATISFIABLE"
        assert answer.preconditions


async def test_a_refused_request_leaves_nothing_behind(service: Running) -> None:
    request = new_request()
    await refusal(service.stub.Allocate(request).read())
    assert not (await service.stub.ListAllocations(pb.ListAllocationsRequest())).allocations
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub, request) as asked:
        await asked.until("ready")


async def test_a_bad_demand_is_refused_by_every_method_that_takes_one(service: Running) -> None:
    bad = wanting(db={"cpus": "-1"})
    answer = await refusal(service.stub.Allocate(new_request(bad)).read())
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
    assert answer.fields == ["demands.hosts['db'].cpus"]
    answer = await refusal(service.stub.Explain(pb.ExplainRequest(demands=bad)))
    assert answer.fields == ["demands.hosts['db'].cpus"]
    listing = pb.ListResourcesRequest(demand=bad.hosts["db"])
    assert (await refusal(service.stub.ListResources(listing))).fields == ["demand.cpus"]


async def test_a_label_of_10_megabytes_is_refused_by_name_and_the_server_lives_on(
    service: Running,
) -> None:
    huge = wanting(db={"labels": ["x" * 10_000_000]})
    answer = await refusal(service.stub.Allocate(new_request(huge)).read())
    assert answer.fields == ["demands.hosts['db'].labels[0]"]
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")


async def test_explain_tells_never_from_not_now(service: Running) -> None:
    machines = [machine("a"), machine("b", labels={"x": ""}), machine("c", labels={"x": ""})]
    async with (
        manager(service.stub, "m", machines),
        asking(service.stub, wanting(h={"resource": "b"})) as asked,
    ):
        await asked.until("ready")
        now = await explained(service, wanting(h={"labels": ["x"]}))
        assert (now.availability, now.summary) == (pb.AVAILABILITY_NOW, "can be had now")
        rows = {r.resource: (r.availability, r.reason) for r in now.hosts["h"].resources}
        assert rows == {
            "a": (pb.AVAILABILITY_NEVER, "labels: lacks x"),
            "b": (pb.AVAILABILITY_LATER, "in use"),
            "c": (pb.AVAILABILITY_NOW, ""),
        }
        later = await explained(service, wanting(h={"labels": ["x"]}, i={"labels": ["x"]}))
        assert later.availability == pb.AVAILABILITY_LATER
        assert later.summary.startswith("not now: 1 of 2 hosts could be had now; i: ")
        never = await explained(service, wanting(h={"cpus": "64"}))
        assert never.availability == pb.AVAILABILITY_NEVER
        assert never.summary.startswith("can never be had: h: none of 3 resources fits")
        drain = pb.DrainResourceRequest(name="c", reason="new disk")
        await service.stub.DrainResource(drain)
        away = await explained(service, wanting(h={"resource": "c"}))
        assert away.availability == pb.AVAILABILITY_OUT_OF_SERVICE
        assert away.summary == "not while c is in maintenance: new disk"


async def explained(service: Running, demands: Demands) -> pb.ExplainResponse:
    response: pb.ExplainResponse = await service.stub.Explain(pb.ExplainRequest(demands=demands))
    return response


async def test_what_was_packed_badly_at_first_is_not_called_impossible(service: Running) -> None:
    hypervisors = [hypervisor("d0", cpus=3), hypervisor("d1", cpus=3), hypervisor("d2", cpus=6)]
    sizes = {f"h{n}": {"cpus": str(size)} for n, size in enumerate([3, 2, 4, 3])}
    async with (
        manager(service.stub, "m", hypervisors),
        asking(service.stub, wanting(**sizes)) as asked,
    ):
        await asked.until("ready")


async def test_a_place_that_changes_is_told_with_what_is_waited_for(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        async with asking(service.stub) as first, asking(service.stub) as second:
            await agent.hear("offer")
            assert first.events == ["preparing"]
            queued = second.updates[0].queued
            assert "in use" in queued.reason
            assert second.allocation.queue_place == queued
            async with asking(service.stub, priority=1) as urgent:
                await second.until("queued", lambda queued: queued.place == 2)
                await urgent.release()
                await second.until("queued", lambda queued: queued.place == 1)
