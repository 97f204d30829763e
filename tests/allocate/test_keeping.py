"""Keeping an allocation for a look at what went wrong."""

from typing import Any

import pytest

from hwprovisioner.allocate.policy import Policy
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import ALLOCATION_STATE_READY, Allocation
from support.asking import LIMIT_S, Asked, asking, seconds, wanting
from support.fake_manager import machine, manager
from support.refusals import refusal
from support.services import Running, allocate


async def keep(asked: Asked, span_s: float, **more: Any) -> Allocation:
    known: dict[str, Any] = {"allocation_id": asked.id, "token": asked.token}
    request = pb.KeepAllocationRequest(**(known | more), duration=seconds(span_s))
    found: Allocation = (await asked.stub.KeepAllocation(request, timeout=LIMIT_S)).allocation
    return found


async def test_what_is_kept_outlives_its_release_and_ends_by_itself(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")
        kept = await keep(asked, 0.5)
        released = await asked.release()
        assert released.state == ALLOCATION_STATE_READY
        assert released.keep_time == kept.keep_time
        assert await asked.ended() == "RELEASED"
        assert asked.allocation.end_detail == "by its holder; it was kept until now"
        ended_ms = asked.allocation.end_time.ToMilliseconds()
        assert ended_ms >= kept.keep_time.ToMilliseconds()


async def test_without_heartbeats_it_ends_when_it_is_kept_no_longer(service: Running) -> None:
    async with (
        manager(service.stub, "m", [machine("a")]),
        asking(service.stub, lease_ttl=1) as asked,
    ):
        await asked.until("ready")
        kept = await keep(asked, 1.5)
        assert await asked.ended() == "EXPIRED"
        ended_ms = asked.allocation.end_time.ToMilliseconds()
        assert ended_ms >= kept.keep_time.ToMilliseconds()


async def test_it_can_be_ended_at_once(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")
        await keep(asked, 3600)
        await asked.release()
        request = pb.ReleaseAllocationRequest(
            allocation_id=asked.id, token=asked.token, at_once=True
        )
        await service.stub.ReleaseAllocation(request, timeout=LIMIT_S)
        assert await asked.ended() == "RELEASED"


async def test_it_can_be_kept_no_longer(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")
        await keep(asked, 3600)
        assert not (await keep(asked, 0)).HasField("keep_time")
        await keep(asked, 3600)
        await asked.release()
        await keep(asked, 0)
        assert await asked.ended() == "RELEASED"


@pytest.mark.parametrize(("most_ms", "says"), [(60_000, "at most 1 min"), (0, "nothing is kept")])
async def test_the_policy_says_how_long_at_most(redis_url: str, most_ms: int, says: str) -> None:
    async with (
        allocate(redis_url, policy=Policy(most_keep_ms=most_ms)) as service,
        manager(service.stub, "m", [machine("a")]),
        asking(service.stub) as asked,
    ):
        await asked.until("ready")
        answer = await refusal(keep(asked, 61))
        assert answer.reason == "OVER_POLICY"
        assert says in answer.message
        if most_ms:
            assert (await keep(asked, 60)).HasField("keep_time")


async def test_only_its_holder_keeps_what_is_ready(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as holder:
        await holder.until("ready")
        assert (await refusal(keep(holder, 60, token="other"))).reason == "WRONG_TOKEN"
        assert (await refusal(keep(holder, 60, allocation_id="x"))).reason == "NO_SUCH_ALLOCATION"
        assert (await refusal(keep(holder, 60, allocation_id="", token=""))).fields == [
            "allocation_id",
            "token",
        ]
        async with asking(service.stub, wanting(h={})) as waiting:
            answer = await refusal(keep(waiting, 60))
            assert answer.reason == "NOT_READY"
            assert "is QUEUED" in answer.message


async def test_it_is_kept_until_its_maximum_duration_at_the_longest(service: Running) -> None:
    async with (
        manager(service.stub, "m", [machine("a")]),
        asking(service.stub, max_duration=1) as asked,
    ):
        await asked.until("ready")
        kept = await keep(asked, 3600)
        ends_ms = asked.allocation.grant_time.ToMilliseconds() + 1000
        assert kept.keep_time.ToMilliseconds() == ends_ms
        assert await asked.ended() == "MAX_DURATION"
