"""What becomes of offers that are declined, failed, not answered, or answered out of turn."""

from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration

from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.resource_pb2 import Connection
from support.asking import Asked, asking, is_free, resource, seconds, wanting
from support.eventually import eventually
from support.fake_manager import Manager, Policy, ignore, machine, manager, serve_at_once
from support.services import Running, allocate


def declining(*names: str, delay: Duration | None = None) -> Policy:
    """Decline these resources, serve others."""

    async def policy(agent: Manager, offer: stream.Offer) -> None:
        if offer.resource not in names:
            await serve_at_once(agent, offer)
            return
        decline = stream.Decline(hold=offer.hold, reason="hot", retry_delay=delay)
        await agent.say(decline=decline)

    return policy


def failing(*names: str) -> Policy:
    """Accept these resources, then fail; serve others."""

    async def policy(agent: Manager, offer: stream.Offer) -> None:
        if offer.resource not in names:
            await serve_at_once(agent, offer)
            return
        await agent.say(accept=stream.Accept(hold=offer.hold))
        await agent.say(failed=stream.Failed(hold=offer.hold, reason="no power"))

    return policy


def resource_of(asked: Asked) -> str:
    return asked.allocation.hosts["host"].hold.resource


async def test_after_a_decline_another_resource_is_used(service: Running) -> None:
    machines = [machine("a"), machine("b")]
    async with manager(service.stub, "m", machines, policy=declining("a")) as agent:
        async with asking(service.stub) as asked:
            await asked.until("ready")
            assert resource_of(asked) == "b"
            assert agent.uses == {("", "a"): 1, ("", "b"): 1}
        declined = await resource(service.stub, "a")
        assert declined.reason == "declined by its manager: hot"
        assert declined.HasField("declined_until_time")
        assert not declined.holds


async def test_a_decline_sends_the_whole_set_back_and_its_other_hosts_are_cleaned(
    service: Running,
) -> None:
    board = machine("board", labels={"edge": ""})
    async with (
        manager(service.stub, "m", [machine("a")]) as steady,
        manager(service.stub, "e", [board], policy=declining("board", delay=seconds(0.01))) as edge,
    ):
        async with asking(service.stub, wanting(db={}, edge={"labels": ["edge"]})) as asked:
            await edge.hear("offer", lambda offer: bool(edge.uses["", "board"] >= 2))
            edge.policy = serve_at_once
            await asked.until("ready")
            assert (await steady.hear("release")).resource == "a"
            assert "preparing" in asked.events


async def test_what_all_decline_waits_until_one_has_rested(service: Running) -> None:
    rest = seconds(0.3)
    async with manager(
        service.stub, "m", [machine("a")], policy=declining("a", delay=rest)
    ) as agent:
        async with asking(service.stub) as asked:
            said = await asked.until("queued", lambda queued: "declined" in queued.reason)
            assert said.queued.reason == "host: 1 resource matches: declined by its manager: hot"
            agent.policy = serve_at_once
            await asked.until("ready")


async def test_what_failed_is_cleaned_and_not_tried_again_for_the_same_request(
    service: Running,
) -> None:
    async with manager(
        service.stub, "m", [machine("a"), machine("b")], policy=failing("a")
    ) as agent:
        async with asking(service.stub) as asked:
            await asked.until("ready")
            assert resource_of(asked) == "b"
            assert (await agent.hear("release")).resource == "a"
            await eventually(lambda: is_free(service.stub, "a"))


async def test_when_the_tries_are_used_up_it_ends_with_the_drivers_words(service: Running) -> None:
    names = ["a", "b", "c", "d"]
    machines = [machine(name) for name in names]
    async with manager(service.stub, "m", machines, policy=failing(*names)) as agent:
        async with asking(service.stub) as asked:
            assert await asked.ended() == "PREPARE_FAILED"
            assert asked.allocation.end_detail == "c: no power"
            assert agent.uses.total() == 3


async def test_when_the_last_candidate_has_failed_it_ends_at_once(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=failing("a")):
        async with asking(service.stub) as asked:
            assert await asked.ended() == "PREPARE_FAILED"
            assert asked.allocation.end_detail == "a: no power"


async def test_a_resource_that_fails_while_it_is_used_ends_the_allocation(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]) as agent, asking(service.stub) as asked:
        await asked.until("ready")
        hold = (await agent.hear("offer")).hold
        await agent.say(failed=stream.Failed(hold=hold, reason="smoke"))
        assert await asked.ended() == "RESOURCE_LOST"
        assert asked.allocation.end_detail == "a: smoke"
        await agent.hear("release")


async def test_an_offer_that_is_not_answered_is_taken_back(redis_url: str) -> None:
    async with allocate(redis_url, offer_ms=50) as service:
        async with manager(service.stub, "mute", [machine("a")], policy=ignore) as mute:
            mute.cleans = False
            async with asking(service.stub) as asked:
                offer = await mute.hear("offer")
                assert await asked.ended() == "PREPARE_FAILED"
                assert "did not answer the offer in time" in asked.allocation.end_detail
                release = await mute.hear("release")
                assert release.hold.fence > offer.hold.fence
                await mute.say(accept=stream.Accept(hold=offer.hold))
                refused = await mute.hear("refused")
                assert (refused.reason, refused.hold_id) == ("STALE_FENCE", offer.hold.hold_id)


async def test_repeating_a_message_changes_nothing_and_is_not_refused(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        agent.cleans = False
        async with asking(service.stub) as asked:
            hold = (await agent.hear("offer")).hold
            ready = stream.Ready(hold=hold, connection=Connection(address="x"))
            for event in ({"accept": stream.Accept(hold=hold)}, {"ready": ready}):
                for _ in range(2):
                    await agent.say(**event)
            await asked.until("ready")
            await asked.release()
            hold = (await agent.hear("release")).hold
            for _ in range(2):
                await agent.say(cleaned=stream.Cleaned(hold=hold))
            await eventually(lambda: is_free(service.stub, "a"))
            await agent.say(withdraw=stream.Withdraw(resource="no-such"))
            refused = await agent.hear("refused")
            assert (refused.reason, refused.resource) == ("NO_SUCH_RESOURCE", "no-such")


def with_hold(name: str, hold: stream.HoldRef) -> dict[str, object]:
    message = type(getattr(stream.SubscribeRequest(), name))
    return {name: message(hold=hold)}


ANSWERS = ["accept", "decline", "progress", "ready", "failed", "cleaned"]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_with_a_stale_fence_is_refused(service: Running, answer: str) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        async with asking(service.stub):
            offer = await agent.hear("offer")
            stale = stream.HoldRef(hold_id=offer.hold.hold_id, fence=offer.hold.fence + 1)
            await agent.say(**with_hold(answer, stale))
            refused = await agent.hear("refused")
            assert (refused.reason, refused.hold_id) == ("STALE_FENCE", stale.hold_id)
            assert (await resource(service.stub, "a")).holds[0].fence == offer.hold.fence


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_to_what_was_offered_to_another_is_refused(
    service: Running, answer: str
) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as owner:
        async with manager(service.stub, "thief") as thief, asking(service.stub):
            hold = (await owner.hear("offer")).hold
            await thief.say(**with_hold(answer, hold))
            # Of a hold that is gone, `cleaned` is a repetition: so that one is sent last.
            await thief.say(**with_hold("accept", hold))
            refused = await thief.hear("refused")
            assert (refused.reason, refused.hold_id) == ("NO_SUCH_HOLD", hold.hold_id)
            assert (await resource(service.stub, "a")).holds[0].state == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda hold: with_hold("cleaned", hold), "WRONG_STATE"),
        (lambda hold: {"accept": stream.Accept()}, "BAD_REQUEST"),
        (lambda hold: {"progress": stream.Progress(hold=hold, message="x" * 1025)}, "BAD_REQUEST"),
        (lambda hold: {"withdraw": stream.Withdraw(resource="X")}, "BAD_REQUEST"),
        (lambda hold: {"volunteer": stream.Volunteer()}, "BAD_REQUEST"),
        (
            lambda hold: {"ready": stream.Ready(hold=hold, connection=Connection(port=-1))},
            "BAD_REQUEST",
        ),
        (
            lambda hold: with_hold("accept", stream.HoldRef(hold_id="a.99", fence=1)),
            "NO_SUCH_HOLD",
        ),
    ],
)
async def test_what_cannot_be_taken_is_refused_and_the_stream_goes_on(
    service: Running, answer: Callable[[stream.HoldRef], dict[str, object]], reason: str
) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        async with asking(service.stub) as asked:
            offer = await agent.hear("offer")
            await agent.say(**answer(offer.hold))
            assert (await agent.hear("refused")).reason == reason
            await serve_at_once(agent, offer)
            await asked.until("ready")


async def test_a_decline_after_the_accept_is_refused(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        async with asking(service.stub):
            hold = (await agent.hear("offer")).hold
            await agent.say(accept=stream.Accept(hold=hold))
            await agent.say(decline=stream.Decline(hold=hold))
            assert (await agent.hear("refused")).reason == "WRONG_STATE"


async def test_cleaning_is_not_told_as_preparation(service: Running) -> None:
    async with (
        manager(service.stub, "m", [machine("a")], policy=failing("a")) as agent,
        manager(service.stub, "n", [machine("b")], policy=ignore) as other,
    ):
        agent.cleans = False
        async with asking(service.stub) as asked:
            release = await agent.hear("release")
            await agent.say(progress=stream.Progress(hold=release.hold, message="wiping"))
            await agent.say(cleaned=stream.Cleaned(hold=release.hold))
            await eventually(lambda: is_free(service.stub, "a"))
            await serve_at_once(other, await other.hear("offer"))
            await asked.until("ready")
            assert "wiping" not in {update.preparing.message for update in asked.updates}
