"""An allocation gets back what Redis has lost: all its hosts, or none."""

import pytest

from hwprovisioner.state import errors
from hwprovisioner.state.holds import HeldHost
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.tables import AllocationState, HoldState
from support.allocation_states import allocation_in
from support.lab_promises import check_promises
from support.state_lab import GIB, NOW, TOKEN, StateLab, refused, unchanged


async def queued(lab: StateLab) -> Speaker:
    """Make a lab that has lost what it granted to allocation a: r.3 and s.5 of manager m."""
    who = await lab.register()
    await lab.describe(who, "r", volunteered=False, seen_fence=3)
    await lab.describe(who, "s", volunteered=False, seen_fence=7, slots=2)
    await lab.submit(max_ms=60_000, wait_ms=60_000)
    return who


def host(name: str, resource: str, fence: int, **share: int) -> HeldHost:
    gpus = (share["gpu"],) if "gpu" in share else ()
    return HeldHost(name, resource, fence, share.get("cpus", 1), GIB, gpus)


SET = (host("db", "r", 3), host("edge", "s", 5))


async def test_it_has_its_hosts_as_if_they_had_just_been_accepted(lab: StateLab) -> None:
    who = await queued(lab)
    assert await lab.holds.retake(who, "a", SET, now_ms=NOW + 5) == ""
    found = lab.view.allocations["a"]
    assert (found.state, found.grant_ms, found.pending) == (
        AllocationState.PREPARING,
        NOW + 5,
        2,
    )
    assert found.holds == ("r.3", "s.5")
    for hold_id, name, fence in (("r.3", "db", 3), ("s.5", "edge", 5)):
        hold = lab.view.holds[hold_id]
        assert (hold.state, hold.host, hold.fence) == (HoldState.PREPARING, name, fence)
        assert (hold.manager, hold.allocation, hold.cpus, hold.memory) == ("m", "a", 1, GIB)
        await lab.holds.ready(who, hold, fence, "{}", now_ms=NOW + 6)
    assert lab.view.allocations["a"].state is AllocationState.READY
    assert lab.view.resources["r"].fence == 3
    assert lab.view.resources["s"].fence == 7, "it has not gone back"
    assert await lab.deadline_ms("max:a") == NOW + 60_005
    check_promises(await lab.dump(), {})
    await lab.allocations.release("a", found.holds, token=TOKEN, now_ms=NOW + 7)
    assert lab.view.holds["s.5"].fence == 8
    check_promises(await lab.dump(), {})


@pytest.mark.parametrize("state", [s for s in AllocationState if s is not AllocationState.QUEUED])
async def test_only_what_waits_gets_anything_back(lab: StateLab, state: AllocationState) -> None:
    await allocation_in(lab, state)
    who = await lab.register("other")
    await lab.describe(who, "r2", seen_fence=9)
    retaking = lab.holds.retake(who, "a", [host("db", "r2", 9)], now_ms=NOW)
    assert await unchanged(lab, retaking) == f"the lab has it as {state.lower()}"


async def test_nothing_is_given_back_to_what_is_not_known(lab: StateLab) -> None:
    who = await queued(lab)
    retaking = lab.holds.retake(who, "b", SET, now_ms=NOW)
    assert await unchanged(lab, retaking) == "the lab has it as gone"


@pytest.mark.parametrize(
    ("hosts", "why"),
    [
        ([], ": no hosts"),
        ([*SET, host("c", "nowhere", 1)], "nowhere: it is not of this manager"),
        ([*SET, host("c", "theirs", 1)], "theirs: it is not of this manager"),
        ([*SET, host("c", "r", 2)], "r: others have it"),
        ([host("c", "s", 6, cpus=9)], "s: others have it"),
        ([host("c", "s", 6, gpu=1), host("d", "s", 7, gpu=1)], "s: others have it"),
        ([host("c", "drained", 1)], "drained: it is out of service"),
    ],
)
async def test_it_gets_all_of_it_or_nothing(lab: StateLab, hosts: list[HeldHost], why: str) -> None:
    who = await queued(lab)
    await lab.describe(await lab.register("other"), "theirs", seen_fence=1)
    await lab.describe(who, "drained", seen_fence=1)
    await lab.drain("drained")
    retaking = lab.holds.retake(who, "a", hosts, now_ms=NOW)
    assert await unchanged(lab, retaking) == why


async def test_a_hold_that_is_there_is_not_taken_back_for_another(lab: StateLab) -> None:
    who = await queued(lab)
    await lab.describe(who, "s", seen_fence=7, slots=2)
    await lab.elect()
    await lab.submit("b")
    [hold] = await lab.grant("b", lab.planned("s"))
    retaking = lab.holds.retake(who, "a", [host("db", "s", hold.fence)], now_ms=NOW)
    assert await unchanged(lab, retaking) == "s: others have it"


@pytest.mark.parametrize(("off_by", "error"), [(-1, errors.Superseded), (1, errors.Forgotten)])
async def test_only_the_newest_registration_gives_back(
    lab: StateLab, off_by: int, error: type[Exception]
) -> None:
    who = await queued(lab)
    stale = Speaker("m", who.epoch + off_by)
    await refused(lab, lab.holds.retake(stale, "a", SET, now_ms=NOW), error)


async def test_a_fence_that_was_seen_raises_a_resources_and_never_lowers_it(lab: StateLab) -> None:
    who = await lab.register()
    assert (await lab.describe(who, seen_fence=5)).fence == 5
    assert (await lab.describe(who, seen_fence=9)).fence == 9
    await unchanged(lab, lab.describe(who, seen_fence=7))
    await lab.managers.withdraw(who, "r", "gone", removed=True, now_ms=NOW)
    assert (await lab.describe(who, seen_fence=8)).fence == 9
    await lab.managers.withdraw(who, "r", "gone", removed=True, now_ms=NOW)
    assert (await lab.describe(who, seen_fence=11)).fence == 11
