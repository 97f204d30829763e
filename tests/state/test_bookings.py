"""Bookings: made on what was planned with, begun when their time has come, ended at its end."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.state import errors
from hwprovisioner.state.allocations import BookingStale, Deposed, GrantRefused
from hwprovisioner.state.keys import Due
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import AllocationState, EndReason
from support.allocation_states import STATES, allocation_in
from support.booking import FROM, UNTIL, book, place, reservation_of
from support.lab_promises import check_promises
from support.state_lab import NOW, TOKEN, TTL, StateLab, refused, unchanged

SHOW_UP = 600_000
HOUR = 3_600_000

Meanwhile: TypeAlias = Callable[[StateLab, Speaker], Awaitable[object]]


async def two_machines(lab: StateLab) -> Speaker:
    who = await lab.register()
    for name in ("r", "s"):
        await lab.describe(who, name)
    await lab.elect()
    await lab.tend()
    return who


async def begun(lab: StateLab) -> Speaker:
    """Have booking a of r begun, and leases looked after."""
    who = await two_machines(lab)
    await book(lab)
    await lab.looked_after(FROM)
    await lab.allocations.begin("a", show_up_ms=SHOW_UP, now_ms=FROM)
    return who


async def test_a_booking_waits_without_a_lease_and_its_resources_list_it(lab: StateLab) -> None:
    await two_machines(lab)
    made = await book(lab, "a", "r", "s")
    assert made == ("a", lab.view.revision)
    allocation = lab.view.allocations["a"]
    assert (allocation.state, allocation.user) == (AllocationState.BOOKED, "ann")
    assert (allocation.book_from_ms, allocation.book_until_ms) == (FROM, UNTIL)
    assert (allocation.submit_ms, allocation.ttl_ms) == (NOW, TTL)
    assert allocation.reservation == reservation_of("r", "s")
    assert lab.view.resources["r"].booked == lab.view.resources["s"].booked == ("a",)
    dump = await lab.dump()
    assert {m: due for m, due in dump["deadlines"].items() if m.endswith(":a")} == {"begin:a": FROM}
    assert "alarm:a" not in dump
    check_promises(dump, {})


async def hold(lab: StateLab, who: Speaker) -> None:
    await lab.submit("other")
    await lab.grant("other", lab.planned("s"))


async def book_it(lab: StateLab, who: Speaker) -> None:
    await book(lab, "other", "s")


async def remove(lab: StateLab, who: Speaker) -> None:
    await lab.managers.withdraw(who, "s", "sold", removed=True, now_ms=NOW)


@pytest.mark.parametrize("meanwhile", [hold, book_it, remove])
@pytest.mark.parametrize("how", ["book", "rebook"])
async def test_a_plan_is_refused_when_a_resource_changed_meanwhile(
    lab: StateLab, meanwhile: Meanwhile, how: str
) -> None:
    who = await two_machines(lab)
    if how == "rebook":
        await book(lab, "a", "r")
    places = [place(lab.view, name, gains="a") for name in ("r", "s")]
    await meanwhile(lab, who)
    if how == "book":
        await refused(lab, book(lab, "a", "r", "s", places=places), BookingStale)
    else:
        rebooking = lab.allocations.rebook(
            "a", reservation_of("r", "s"), places=places, epoch=lab.epoch, now_ms=NOW
        )
        await refused(lab, rebooking, BookingStale)
    assert lab.reply == ["STALE", "s"]


async def test_whoever_writes_a_list_leaves_out_what_has_ended(lab: StateLab) -> None:
    await two_machines(lab)
    await book(lab, "a")
    await book(lab, "b")
    assert lab.view.resources["r"].booked == ("a", "b")
    await lab.allocations.release("a", [], token=TOKEN, now_ms=NOW)
    assert lab.view.resources["r"].booked == ("a", "b")
    await book(lab, "c")
    assert lab.view.resources["r"].booked == ("b", "c")


async def test_a_request_id_makes_one_booking_and_no_other_request(lab: StateLab) -> None:
    await two_machines(lab)
    await book(lab)
    # The plan is old by now, and that does not matter.
    assert await unchanged(lab, book(lab, places=[])) == ("a", None)
    other = lab.allocations.submit(
        Allocation(id="b", ttl_ms=TTL), token="t", request_id="request-a", digest="e", now_ms=NOW
    )
    await refused(lab, other, errors.RequestIdReused)


@pytest.mark.parametrize("late_ms", [-1, 0, 1])
@pytest.mark.parametrize("state", STATES)
async def test_only_what_is_booked_begins_and_only_when_that_is_due(
    lab: StateLab, state: AllocationState | None, late_ms: int
) -> None:
    await allocation_in(lab, state)
    now_ms = FROM + late_ms
    beginning = lab.allocations.begin("a", show_up_ms=SHOW_UP, now_ms=now_ms)
    if state is not AllocationState.BOOKED:
        assert await unchanged(lab, beginning) is None
        assert lab.reply == ["NOT_BOOKED", state]
    elif late_ms < 0:
        assert await unchanged(lab, beginning) is None
        assert lab.reply == ["EARLY"]
    else:
        assert await beginning == lab.view.revision
        allocation = lab.view.allocations["a"]
        assert allocation.state is AllocationState.QUEUED
        assert (allocation.turn, allocation.left_ms) == (lab.view.revision, SHOW_UP)
        dump = await lab.dump()
        due = {m: at for m, at in dump["deadlines"].items() if m.endswith(":a")}
        assert due == {"lease:a": now_ms + SHOW_UP, "max:a": UNTIL}
        assert dump["alarm:a"] == round((now_ms + SHOW_UP) / 1000)
        assert (
            await unchanged(lab, lab.allocations.begin("a", show_up_ms=SHOW_UP, now_ms=now_ms))
            is None
        )


async def test_a_lease_longer_than_the_time_to_show_up_stays_as_long_as_it_is(
    lab: StateLab,
) -> None:
    await two_machines(lab)
    await book(lab, ttl_ms=HOUR, from_ms=NOW - 5)
    await lab.allocations.begin("a", show_up_ms=SHOW_UP, now_ms=NOW)
    assert await lab.deadline_ms("lease:a") == NOW + HOUR


async def test_once_begun_it_lives_by_its_beats_and_is_told_when_its_time_is_over(
    lab: StateLab,
) -> None:
    await begun(lab)
    beat = await lab.beat("a", now_ms=FROM + 1)
    assert beat == Alive(TTL, TTL, "QUEUED", UNTIL - FROM - 1)
    assert await lab.deadline_ms("lease:a") == FROM + 1 + TTL


@pytest.mark.parametrize("how", ["granted", "sent back", "queued"])
async def test_it_ends_at_the_end_of_its_time_whatever_became_of_it(
    lab: StateLab, how: str
) -> None:
    who = await begun(lab)
    if how != "queued":
        [hold] = await lab.grant("a", now_ms=FROM)
    if how == "sent back":
        await lab.holds.decline(who, hold, 1, [hold.id], "busy", 5, now_ms=FROM)
        assert lab.view.allocations["a"].state is AllocationState.QUEUED
    assert await lab.deadline_ms("max:a") == UNTIL
    check_promises(await lab.dump(), {})
    reason = EndReason.MAX_DURATION
    early = lab.allocations.end("a", [], reason, "", due=Due.MAX, now_ms=UNTIL - 1)
    assert await unchanged(lab, early) is None
    assert await lab.allocations.end("a", [], reason, "", due=Due.MAX, now_ms=UNTIL)
    check_promises(await lab.dump(), {})


@pytest.mark.parametrize("epoch_off_by", [0, -1, 1])
@pytest.mark.parametrize("state", STATES)
async def test_only_a_booking_that_waits_is_rebooked_and_only_by_whoever_is_elected(
    lab: StateLab, state: AllocationState | None, epoch_off_by: int
) -> None:
    await allocation_in(lab, state)
    await lab.describe(await lab.register("m2"), "spare")
    places = [place(lab.view, "r", loses="a"), place(lab.view, "spare", gains="a")]
    epoch = lab.epoch + epoch_off_by
    rebooking = lab.allocations.rebook(
        "a", reservation_of("spare"), places=places, epoch=epoch, now_ms=NOW
    )
    if epoch_off_by:
        await refused(lab, rebooking, Deposed)
    elif state is not AllocationState.BOOKED:
        assert await unchanged(lab, rebooking) is None
        assert lab.reply == ["NOT_BOOKED", state]
    else:
        assert await rebooking == lab.view.revision
        assert lab.view.allocations["a"].reservation == reservation_of("spare")
        assert lab.view.allocations["a"].state is AllocationState.BOOKED
        assert lab.view.resources["r"].booked == ()
        assert lab.view.resources["spare"].booked == ("a",)


@pytest.mark.parametrize("granted", [False, True])
async def test_what_has_begun_is_rebooked_until_it_is_granted(lab: StateLab, granted: bool) -> None:
    await begun(lab)
    if granted:
        await lab.grant("a", now_ms=FROM)
    places = [place(lab.view, "r", loses="a"), place(lab.view, "s", gains="a")]
    rebooked = await lab.allocations.rebook(
        "a", reservation_of("s"), places=places, epoch=lab.epoch, now_ms=FROM
    )
    assert (rebooked is None) is granted
    assert lab.view.resources["s"].booked == (() if granted else ("a",))


async def test_nobody_is_granted_what_was_booked_since_that_was_planned(lab: StateLab) -> None:
    await two_machines(lab)
    await lab.submit("quick")
    planned = lab.planned("r")
    await book(lab, "a", "r")
    await refused(lab, lab.grant("quick", planned), GrantRefused)
    assert lab.reply == ["REFUSED", "r", "booked meanwhile"]
    assert await lab.grant("quick", lab.planned("r"))


async def test_an_outage_changes_no_booking_and_gives_it_no_lease(lab: StateLab) -> None:
    await two_machines(lab)
    await book(lab)
    late = FROM + HOUR
    paused = await lab.paused(late)
    assert await lab.care.restore(paused, back_ms=60_000, now_ms=late) == 0
    assert (await lab.tend(late)).due == ((Due.BEGIN, "a"),)
    check_promises(await lab.dump(), {})


async def test_a_booking_is_forgotten_as_anything_else(lab: StateLab) -> None:
    await two_machines(lab)
    await book(lab)
    await lab.allocations.release("a", [], token=TOKEN, now_ms=NOW)
    assert lab.view.allocations["a"].end_reason is EndReason.CANCELLED
    late = NOW + lab.limits.retention_ms
    await lab.allocations.forget(lab.view.allocations["a"], now_ms=late)
    assert lab.view.allocations == {}
    assert (await book(lab, "b"))[0] == "b"


async def test_the_token_of_a_booking_is_in_no_entry_of_the_log(lab: StateLab) -> None:
    await two_machines(lab)
    await book(lab)
    stored = (await lab.dump())["allocation:a"]["token_sha"]
    assert len(stored) == 64
    assert stored not in str(await lab.link.call("XRANGE", lab.keys.log, "-", "+"))
