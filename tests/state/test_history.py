"""What the lab remembers of its past."""

import asyncio

import pytest

from hwprovisioner.state.history import HOUR_MS
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.tables import EndReason
from support.booking import book
from support.state_lab import NOW, TOKEN, TTL, StateLab

CLASSES = 20_000
HOUR = NOW // HOUR_MS


async def machines(lab: StateLab) -> Speaker:
    who = await lab.register()
    for name in ("r", "s"):
        await lab.describe(who, name, slots=10)
    await lab.elect()
    return who


async def submit(
    lab: StateLab, name: str = "a", user: str = "ann", class_id: str = "class", now_ms: int = NOW
) -> None:
    allocation = Allocation(id=name, ttl_ms=TTL, user=user, class_id=class_id)
    await lab.allocations.submit(
        allocation, token=TOKEN, request_id=f"request-{name}", digest="d", now_ms=now_ms
    )


async def make_ready(lab: StateLab, who: Speaker, name: str = "a", now_ms: int = NOW) -> None:
    for hold_id in lab.view.allocations[name].holds:
        hold = lab.view.holds[hold_id]
        await lab.holds.accept(who, hold.id, hold.fence, now_ms=now_ms)
        await lab.holds.ready(who, hold, hold.fence, "{}", now_ms=now_ms)


async def release(lab: StateLab, name: str = "a", now_ms: int = NOW) -> None:
    await lab.allocations.release(name, [], token=TOKEN, now_ms=now_ms)


def reader(lab: StateLab) -> Reader:
    return Reader(lab.link, lab.keys)


async def test_a_new_lab_has_no_past(lab: StateLab) -> None:
    history = await reader(lab).history()
    assert (dict(history.use), dict(history.waits), dict(history.spans)) == ({}, {}, {})


async def test_what_was_used_is_added_up_by_user_and_hour_of_its_end(lab: StateLab) -> None:
    who = await machines(lab)
    for name, user in (("a", "ann"), ("b", "ann"), ("c", "a:b, c")):
        await submit(lab, name, user)
    await lab.grant("a", lab.planned("r"), lab.planned("s", host="other"))
    await make_ready(lab, who)
    await lab.grant("b", lab.planned("r"))
    await lab.grant("c", lab.planned("r"))
    await release(lab, "a", NOW + 1_000)
    await release(lab, "b", NOW + 7)
    await release(lab, "c", NOW + HOUR_MS)
    history = await reader(lab).history()
    rest = (HOUR + 1) * HOUR_MS - NOW
    by_hour = {HOUR: rest, HOUR + 1: HOUR_MS - rest}
    assert history.use == {"ann": {HOUR: 2_007}, "a:b, c": by_hour}


@pytest.mark.parametrize("how", ["decline", "fail", "fail for good", "end", "expire", "breaks"])
async def test_however_hosts_are_given_back_they_were_used(lab: StateLab, how: str) -> None:
    who = await machines(lab)
    await submit(lab)
    [hold] = await lab.grant("a")
    later = NOW + TTL
    await lab.looked_after(later)
    if how == "breaks":
        await make_ready(lab, who)
    if how == "fail for good":
        await lab.link.call("HSET", lab.keys.allocation("a"), "tries", lab.limits.tries - 1)
    if how == "decline":
        await lab.holds.decline(who, hold, 1, [hold.id], "busy", 5, now_ms=later)
    elif how == "end":
        await lab.allocations.end("a", [], EndReason.REVOKED, "", now_ms=later)
    elif how == "expire":
        await lab.allocations.expire("a", [], now_ms=later)
    else:
        await lab.holds.fail(who, hold, 1, [hold.id], "smoke", now_ms=later)
    history = await reader(lab).history()
    assert history.use == {"ann": {later // HOUR_MS: TTL}}
    assert history.spans == ({"class": (TTL,)} if how == "breaks" else {})


async def test_what_was_never_granted_has_used_nothing(lab: StateLab) -> None:
    await machines(lab)
    await submit(lab)
    await book(lab, "b")
    await release(lab, "a", NOW + 5)
    await release(lab, "b", NOW + 5)
    assert (await reader(lab).history()).use == {}


async def test_a_wait_counts_once_at_the_first_grant(lab: StateLab) -> None:
    who = await machines(lab)
    await submit(lab)
    [hold] = await lab.grant("a", now_ms=NOW + 40)
    await lab.holds.decline(who, hold, 1, [hold.id], "busy", 1, now_ms=NOW + 50)
    await lab.grant("a", lab.planned("s"), now_ms=NOW + 60)
    await submit(lab, "b")
    await lab.grant("b", lab.planned("s"), now_ms=NOW + 70)
    await submit(lab, "c", class_id="other")
    await lab.grant("c", lab.planned("s"), now_ms=NOW)
    history = await reader(lab).history()
    assert history.waits == {"class": (40, 70), "other": (0,)}


async def test_a_booking_has_not_waited_but_lasts(lab: StateLab) -> None:
    who = await machines(lab)
    await book(lab, from_ms=NOW, until_ms=NOW + HOUR_MS)
    await lab.allocations.begin("a", show_up_ms=TTL, now_ms=NOW)
    await lab.grant("a", now_ms=NOW + 5)
    await make_ready(lab, who)
    await release(lab, "a", NOW + 15)
    history = await reader(lab).history()
    assert (history.waits, history.spans) == ({}, {"class": (10,)})


async def test_only_what_was_ready_has_lasted(lab: StateLab) -> None:
    who = await machines(lab)
    for name in ("a", "b"):
        await submit(lab, name)
        await lab.grant(name)
    await make_ready(lab, who, "a", NOW + 3)
    for name in ("a", "b"):
        await release(lab, name, NOW + 9)
    assert (await reader(lab).history()).spans == {"class": (9,)}


async def test_without_a_class_only_use_is_remembered(lab: StateLab) -> None:
    who = await machines(lab)
    await submit(lab, class_id="")
    await lab.grant("a")
    await make_ready(lab, who)
    await release(lab, "a", NOW + 9)
    history = await reader(lab).history()
    assert (history.waits, history.spans) == ({}, {})
    assert history.use == {"ann": {HOUR: 9}}


async def test_a_clock_that_was_set_back_makes_nothing_negative(lab: StateLab) -> None:
    who = await machines(lab)
    await submit(lab)
    await lab.grant("a", now_ms=NOW - 5)
    await make_ready(lab, who)
    await release(lab, "a", NOW - 10)
    history = await reader(lab).history()
    assert history.use == {}
    assert (history.waits, history.spans) == ({"class": (0,)}, {"class": (0,)})


async def test_of_each_class_the_newest_64_are_kept(lab: StateLab) -> None:
    await machines(lab)
    await lab.link.call("HSET", lab.keys.waits, "class", ",".join(map(str, range(63))))
    for index, kept in enumerate([tuple(range(63)), tuple(range(1, 63))]):
        await submit(lab, f"a{index}")
        await lab.grant(f"a{index}", now_ms=NOW + 1_000 + index)
        waits = (await reader(lab).history()).waits["class"]
        assert len(waits) == 64
        assert waits == (*kept, *range(1_000, 1_001 + index))


async def test_a_flood_of_classes_does_not_grow_what_is_remembered_nor_keep_new_ones_out(
    lab: StateLab,
) -> None:
    await machines(lab)
    many = [word for i in range(CLASSES - 1) for word in (f"c{i}", "1")]
    await lab.link.call("HSET", lab.keys.waits, *many)
    for class_id in ("last", "new", "new"):
        await submit(lab, class_id + str(lab.view.revision), class_id=class_id)
        name = max(lab.view.allocations, key=lambda i: lab.view.allocations[i].turn)
        await lab.grant(name, now_ms=NOW + 5)
    waits = (await reader(lab).history()).waits
    assert len(waits) == CLASSES
    assert waits["new"][-1] == 5


async def test_use_of_more_than_thirty_days_is_not_remembered(lab: StateLab) -> None:
    await machines(lab)
    await submit(lab)
    await lab.grant("a")
    await lab.link.call("HSET", lab.keys.allocation("a"), "since_ms", 1)
    await release(lab, "a", HOUR * HOUR_MS)
    history = await reader(lab).history()
    assert history.use == {"ann": dict.fromkeys(range(HOUR - 720, HOUR), HOUR_MS)}


@pytest.mark.parametrize("count", [0, 10, 3_000])
async def test_old_hours_are_pruned_in_steps_and_no_others(lab: StateLab, count: int) -> None:
    commands = [
        ("HSET", lab.keys.use, f"{HOUR + hour}:{user}", index)
        for index in range(count)
        for hour, user in ((-1, f"old{index}"), (0, f"new{index}"))
    ]
    await lab.link.call_all(commands)
    assert await lab.care.prune_use(HOUR, step=100) == count
    history = await reader(lab).history()
    assert history.use == {f"new{i}": {HOUR: i} for i in range(count)}
    assert await lab.care.prune_use(HOUR) == 0


async def test_what_is_read_cannot_be_changed(lab: StateLab) -> None:
    await machines(lab)
    await submit(lab)
    await lab.grant("a")
    await release(lab, "a", NOW + 9)
    history = await reader(lab).history()
    for mapping in (history.use, history.use["ann"], history.waits, history.spans):
        with pytest.raises(TypeError):
            mapping["x"] = 1  # type: ignore[index]


async def test_pruning_goes_on_beside_what_is_added(lab: StateLab) -> None:
    await machines(lab)
    await lab.link.call("HSET", lab.keys.use, *[f"{w}" for i in range(600) for w in (f"1:{i}", 1)])
    await submit(lab)
    await lab.grant("a")
    await asyncio.gather(lab.care.prune_use(2, step=10), release(lab, "a", NOW + 9))
    assert (await reader(lab).history()).use == {"ann": {HOUR: 9}}
