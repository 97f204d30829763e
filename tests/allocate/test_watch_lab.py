"""The change feed."""

import asyncio
from typing import Any

import grpc
import grpc.aio

from hwprovisioner.v1 import allocate_service_pb2 as pb
from support.asking import LIMIT_S, asking
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.refusals import refusal
from support.services import Running


class Feed:
    """A stream of changes."""

    def __init__(self, service: Running, after_revision: int = 0) -> None:
        request = pb.WatchLabRequest(after_revision=after_revision)
        self.call: Any = service.stub.WatchLab(request)
        self.changes: list[pb.WatchLabResponse] = []

    async def until(self, event: str) -> pb.WatchLabResponse:
        async with asyncio.timeout(LIMIT_S):
            while True:
                change: Any = await self.call.read()
                assert change is not grpc.aio.EOF
                self.changes.append(change)
                if change.event == event:
                    return self.changes[-1]


async def revision(service: Running) -> int:
    listed = await service.stub.ListResources(pb.ListResourcesRequest())
    return int(listed.revision)


async def test_every_change_is_told_in_order_and_without_gaps(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        start = await revision(service)
        feed = Feed(service, start)
        async with asking(service.stub) as asked:
            await asked.until("ready")
            await asked.release()
            await feed.until("cleaned")
        events = [change.event for change in feed.changes]
        assert events == ["submit", "grant", "accept", "ready", "release", "cleaned"]
        revisions = [change.revision for change in feed.changes]
        assert revisions == list(range(start + 1, start + 7))
        grant = feed.changes[1]
        assert [a.id for a in grant.allocations] == [asked.id]
        assert [(r.spec.name, len(r.holds)) for r in grant.resources] == [("a", 1)]
        assert feed.changes[-1].time.ToMilliseconds() > 0


async def test_the_message_of_a_change_is_made_once_for_all_who_watch(service: Running) -> None:
    parts = service.allocate.servicer._parts
    start = parts.view.revision
    async with manager(service.stub, "m", [machine("a")]):
        one, other, *_ = parts.view.history(start)
    first = parts.lists.change(one)
    assert parts.lists.change(one) is first
    assert parts.lists.change(other).revision == other.revision != first.revision


async def test_no_secret_is_in_the_feed(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        feed = Feed(service, await revision(service))
        async with asking(service.stub) as asked:
            await asked.until("ready")
            await asked.release()
            await feed.until("release")
            said = "".join(str(change) for change in feed.changes)
            assert asked.token not in said
            assert "a.lab" not in said


async def test_zero_means_from_now_on(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        before = await revision(service)
        feed = Feed(service)
        reading = asyncio.create_task(feed.until("drain"))

        async def is_heard() -> bool:
            await service.stub.DrainResource(pb.DrainResourceRequest(name="a"))
            return reading.done()

        await eventually(is_heard)
        assert feed.changes[0].revision > before
        assert [r.spec.name for r in feed.changes[0].resources] == ["a"]


async def test_a_revision_that_is_no_longer_known_is_out_of_range(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        view = service.allocate.servicer._parts.view  # what a long time would make of it
        view._history.clear()
        answer = await refusal(Feed(service, 1).until("never"))
        assert (answer.code, answer.reason) == (grpc.StatusCode.OUT_OF_RANGE, "REVISION_FORGOTTEN")
        assert answer.metadata["oldest_revision"] == str(await revision(service))


async def test_a_revision_that_never_was_is_out_of_range_and_the_server_lives_on(
    service: Running,
) -> None:
    newest = await revision(service)
    answer = await refusal(Feed(service, newest + 1_000_000).until("never"))
    assert answer.reason == "REVISION_FORGOTTEN"
    assert await revision(service) == newest


async def test_a_negative_revision_is_refused(service: Running) -> None:
    assert (await refusal(Feed(service, -1).until("never"))).fields == ["after_revision"]
