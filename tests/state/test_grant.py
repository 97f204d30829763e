"""A grant checks everything again, and gives a whole set or nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from hwprovisioner.state.allocations import Deposed, GrantRefused, PlannedHold
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.tables import AllocationState, Health, HoldState
from support.state_lab import GIB, NOW, TOKEN, StateLab, refused

HOUR = 3_600_000
Spoil: TypeAlias = Callable[[StateLab, Speaker], Awaitable[object]]


async def three_machines(lab: StateLab) -> Speaker:
    """Have r, s and t, of 8 cpus, 16 GiB and two holds each, and an elected scheduler."""
    who = await lab.register()
    for name in ("r", "s", "t"):
        await lab.describe(who, name, slots=2)
    await lab.elect()
    await lab.submit()
    return who


async def withdraw(lab: StateLab, who: Speaker) -> None:
    await lab.managers.withdraw(who, "t", "repair", removed=False, now_ms=NOW)


async def remove(lab: StateLab, who: Speaker) -> None:
    await lab.managers.withdraw(who, "t", "sold", removed=True, now_ms=NOW)


async def remove_held(lab: StateLab, who: Speaker) -> None:
    await occupy(lab, lab.planned("t"))
    await remove(lab, who)


async def disconnect(lab: StateLab, who: Speaker) -> None:
    await lab.managers.disconnect(who.manager_id, who.epoch, now_ms=NOW)


async def lose(lab: StateLab, who: Speaker) -> None:
    await disconnect(lab, who)
    await lab.managers.lose(who.manager_id, now_ms=NOW + lab.limits.lost_ms)


async def suspect(lab: StateLab, who: Speaker) -> None:
    await lab.judge("t", Health.SUSPECT, "noise")


async def quarantine(lab: StateLab, who: Speaker) -> None:
    await lab.judge("t", Health.QUARANTINED, "smoke")


async def drain(lab: StateLab, who: Speaker) -> None:
    await occupy(lab, lab.planned("t"))
    await lab.drain("t", "upgrade")


async def maintain(lab: StateLab, who: Speaker) -> None:
    await lab.drain("t", "upgrade")


async def rest(lab: StateLab, who: Speaker) -> None:
    [hold] = await occupy(lab, lab.planned("t"))
    siblings = lab.view.allocations["other"].holds
    found = lab.view.holds[hold]
    await lab.holds.decline(who, found, found.fence, siblings, "busy", 1, now_ms=NOW)


async def describe_anew(lab: StateLab, who: Speaker) -> None:
    await lab.describe(who, "t", '{"cpus":8}', slots=2)


async def hold(lab: StateLab, who: Speaker) -> None:
    await occupy(lab, lab.planned("t"))


async def occupy(lab: StateLab, *planned: PlannedHold) -> tuple[str, ...]:
    """Grant planned hosts to another allocation."""
    await lab.submit("other")
    await lab.grant("other", *planned)
    return lab.view.allocations["other"].holds


SPOILED: dict[str, tuple[Spoil, str]] = {
    "not volunteered": (withdraw, "not volunteered"),
    "removed": (remove, "not volunteered"),
    "removed and still held": (remove_held, "not volunteered"),
    "manager disconnected": (disconnect, "manager away"),
    "manager lost": (lose, "manager away"),
    "suspect": (suspect, "out of service"),
    "quarantined": (quarantine, "out of service"),
    "draining": (drain, "out of service"),
    "in maintenance": (maintain, "out of service"),
    "resting": (rest, "out of service"),
    "generation changed": (describe_anew, "changed"),
    "fence changed": (hold, "changed"),
}


@pytest.mark.parametrize("obstacle", SPOILED)
async def test_a_set_whose_last_host_does_not_fit_leaves_no_trace(
    lab: StateLab, obstacle: str
) -> None:
    who = await three_machines(lab)
    planned = [lab.planned(name, host=f"host-{name}") for name in ("r", "s", "t")]
    spoil, why = SPOILED[obstacle]
    await spoil(lab, who)
    await refused(lab, lab.grant("a", *planned), GrantRefused)
    if "manager" in obstacle:
        assert lab.reply == ["REFUSED", "r", why]
    else:
        assert lab.reply == ["REFUSED", "t", why]
        assert await lab.grant("a", *planned[:2])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"cpus": 5}, {"cpus": 4}),
        ({"memory": 9 * GIB}, {"memory": 7 * GIB + 1}),
        ({"gpus": (0, 1)}, {"gpus": (1,)}),
        ({"gpus": (11,)}, {"gpus": (1, 11)}),
        ({"cpus": 8, "memory": 0}, {"cpus": 1, "memory": 0}),
    ],
)
async def test_what_is_taken_is_not_given_again(
    lab: StateLab, first: dict[str, int], second: dict[str, int]
) -> None:
    await three_machines(lab)
    await occupy(lab, lab.planned("t", **first))  # type: ignore[arg-type]
    await refused(lab, lab.grant("a", lab.planned("t", **second)), GrantRefused)  # type: ignore[arg-type]
    assert lab.reply == ["REFUSED", "t", "no room"]


async def test_slots_limit_holds_whatever_else_is_left(lab: StateLab) -> None:
    await three_machines(lab)
    await occupy(lab, lab.planned("t", host="x"), lab.planned("t", host="y", nth=2))
    await refused(lab, lab.grant("a", lab.planned("t")), GrantRefused)
    assert lab.reply == ["REFUSED", "t", "no room"]


async def test_cards_with_similar_numbers_are_different_cards(lab: StateLab) -> None:
    await three_machines(lab)
    await occupy(lab, lab.planned("t", gpus=(1, 12)))
    await lab.grant("a", lab.planned("t", gpus=(2, 11, 21)))
    assert sorted(lab.view.resources["t"].used_gpus) == [1, 2, 11, 12, 21]


async def test_two_hosts_share_a_divisible_resource_to_its_last_byte(lab: StateLab) -> None:
    await three_machines(lab)
    holds = await lab.grant(
        "a",
        lab.planned("r", host="x", cpus=3, memory=GIB, gpus=(0,)),
        lab.planned("r", host="y", nth=2, cpus=5, memory=15 * GIB, gpus=(1,)),
    )
    assert [(hold.id, hold.host, hold.fence) for hold in holds] == [
        ("r.1", "x", 1),
        ("r.2", "y", 2),
    ]
    resource = lab.view.resources["r"]
    assert (resource.used_slots, resource.used_cpus, resource.used_memory) == (2, 8, 16 * GIB)
    assert (resource.used_gpus, resource.holds, resource.fence) == ((0, 1), ("r.1", "r.2"), 2)
    allocation = lab.view.allocations["a"]
    assert (allocation.state, allocation.pending) == (AllocationState.PREPARING, 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"cpus": 4}, {"cpus": 5}),
        ({"memory": 8 * GIB}, {"memory": 8 * GIB + 1}),
        ({"gpus": (1,)}, {"gpus": (0, 1)}),
    ],
)
async def test_two_hosts_of_a_set_cannot_have_the_same_share(
    lab: StateLab, one: dict[str, int], other: dict[str, int]
) -> None:
    await three_machines(lab)
    planned = (
        lab.planned("r", host="x", **one),  # type: ignore[arg-type]
        lab.planned("r", host="y", nth=2, **other),  # type: ignore[arg-type]
    )
    await refused(lab, lab.grant("a", *planned), GrantRefused)
    assert lab.reply == ["REFUSED", "r", "no room"]


async def test_a_set_may_not_have_one_exclusive_resource_twice(lab: StateLab) -> None:
    who = await three_machines(lab)
    await lab.describe(who, "alone")
    planned = lab.planned("alone", host="x"), lab.planned("alone", host="y", nth=2)
    await refused(lab, lab.grant("a", *planned), GrantRefused)


async def test_a_set_of_nothing_is_refused(lab: StateLab) -> None:
    await three_machines(lab)
    granting = lab.allocations.grant("a", [], epoch=lab.epoch, now_ms=NOW)
    await refused(lab, granting, GrantRefused)


async def test_a_resource_that_changed_hands_is_not_granted_for_its_old_manager(
    lab: StateLab,
) -> None:
    who = await three_machines(lab)
    planned = lab.planned("t")
    await lose(lab, who)
    other = await lab.register("other")
    await lab.describe(other, "t", slots=2, present_manager="m")
    await lab.register("m")
    await lab.managers.disconnect("other", other.epoch, now_ms=NOW)
    assert (planned.generation, planned.fence) == (1, 1)
    await refused(lab, lab.grant("a", planned), GrantRefused)
    assert lab.reply == ["REFUSED", "t", "changed"]


async def test_a_deposed_scheduler_commits_nothing(lab: StateLab) -> None:
    await three_machines(lab)
    old_epoch = lab.epoch
    await lab.elect("other replica", now_ms=NOW + 60_000)
    await refused(
        lab,
        lab.allocations.grant("a", [lab.planned("r")], epoch=old_epoch, now_ms=NOW),
        Deposed,
    )
    assert await lab.grant("a", lab.planned("r"))


async def test_a_used_resource_is_not_granted_before_it_was_cleaned(lab: StateLab) -> None:
    who = await three_machines(lab)
    await lab.describe(who, "alone")
    [hold] = await occupy(lab, lab.planned("alone"))
    await lab.allocations.release("other", [hold], token=TOKEN, now_ms=NOW)
    await refused(lab, lab.grant("a", lab.planned("alone")), GrantRefused)
    assert lab.reply == ["REFUSED", "alone", "no room"]
    await lab.holds.cleaned(who, hold, 2, now_ms=NOW)
    [granted] = await lab.grant("a", lab.planned("alone"))
    assert (granted.id, granted.state) == ("alone.3", HoldState.OFFERED)


async def test_rest_is_over_when_its_deadline_says_so_whatever_the_clock(lab: StateLab) -> None:
    who = await three_machines(lab)
    await rest(lab, who)
    with pytest.raises(GrantRefused, match="out of service"):
        await lab.grant("a", lab.planned("t"), now_ms=NOW + HOUR)
    await lab.managers.rested("t", now_ms=NOW + 1)
    assert await lab.grant("a", lab.planned("t"), now_ms=NOW - HOUR)


async def test_amounts_are_exact_up_to_the_largest(lab: StateLab) -> None:
    most = 2**53
    who = await three_machines(lab)
    await lab.describe(who, "huge", slots=3, cpus=most, memory=most)
    await occupy(lab, lab.planned("huge", cpus=most - 1, memory=most - 1))
    resource = lab.view.resources["huge"]
    assert (resource.used_cpus, resource.used_memory) == (most - 1, most - 1)
    await lab.submit("third")
    await lab.grant("third", lab.planned("huge", cpus=1, memory=1))
    resource = lab.view.resources["huge"]
    assert (resource.used_cpus, resource.used_memory) == (most, most)
    one_more = lab.planned("huge", cpus=1, memory=0)
    await refused(lab, lab.grant("a", one_more), GrantRefused)
    await refused(lab, lab.grant("a", replace(one_more, cpus=0, memory=1)), GrantRefused)
    assert lab.reply == ["REFUSED", "huge", "no room"]


@pytest.mark.parametrize("name", ["1e5", "0x10", "7", "nan", "inf", "a.1", "r.2.3", "-0"])
async def test_names_that_look_like_numbers_or_holds_stay_names(lab: StateLab, name: str) -> None:
    who = await lab.register(name)
    await lab.describe(who, name, slots=2)
    await lab.elect()
    await lab.submit(name)
    holds = await lab.grant(name, lab.planned(name, host="x"), lab.planned(name, host="y", nth=2))
    assert [hold.id for hold in holds] == [f"{name}.1", f"{name}.2"]
    assert lab.view.resources[name].holds == (f"{name}.1", f"{name}.2")
    for hold in holds:
        await lab.holds.accept(who, hold.id, hold.fence, now_ms=NOW)
        await lab.holds.ready(who, hold, hold.fence, "{}", now_ms=NOW)
    assert lab.view.allocations[name].state is AllocationState.READY
    await lab.allocations.release(name, [], token=TOKEN, now_ms=NOW)
    for hold in holds:
        await lab.holds.cleaned(who, hold.id, lab.view.holds[hold.id].fence, now_ms=NOW)
    assert lab.view.holds == {}
    resource = lab.view.resources[name]
    assert (resource.name, resource.manager, resource.used_slots) == (name, name, 0)


async def test_a_set_of_many_hosts_is_granted_and_ended_whole(lab: StateLab) -> None:
    who = await three_machines(lab)
    names = [f"n{i}" for i in range(64)]
    for name in names:
        await lab.describe(who, name)
    holds = await lab.grant("a", *(lab.planned(name, host=name) for name in names))
    assert [hold.resource for hold in holds] == names
    await lab.allocations.release("a", [], token=TOKEN, now_ms=NOW)
    assert {hold.state for hold in lab.view.holds.values()} == {HoldState.CLEANING}
