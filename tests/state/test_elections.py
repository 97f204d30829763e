"""One replica is the scheduler: until when, and who follows."""

from hwprovisioner.state.allocations import Deposed
from support.state_lab import NOW, StateLab, refused

HOUR = 3_600_000


async def test_an_election_is_kept_by_whoever_has_it_until_it_ends(lab: StateLab) -> None:
    first = await lab.care.elect("one", 1_000, now_ms=NOW)
    assert first.epoch == 1
    other = await lab.care.elect("two", 1_000, now_ms=NOW + 999)
    assert (other.epoch, other.left_ms) == (None, 1)
    assert (await lab.care.elect("one", 1_000, now_ms=NOW + 999)).epoch == 1
    assert (await lab.care.elect("two", 1_000, now_ms=NOW + 1_998)).epoch is None
    assert (await lab.care.elect("two", 1_000, now_ms=NOW + 1_999)).epoch == 2


async def test_an_election_that_ran_out_goes_on_if_nobody_followed(lab: StateLab) -> None:
    await lab.care.elect("one", 1_000, now_ms=NOW)
    assert (await lab.care.elect("one", 1_000, now_ms=NOW + 5_000)).epoch == 1
    assert (await lab.care.elect("two", 1_000, now_ms=NOW + 6_000)).epoch == 2
    assert (await lab.care.elect("one", 1_000, now_ms=NOW + 7_000)).epoch == 3


async def test_who_resigns_makes_room_at_once_and_cannot_resign_for_another(lab: StateLab) -> None:
    await lab.care.elect("one", 1_000, now_ms=NOW)
    await lab.care.elect("two", 0, now_ms=NOW)
    assert lab.reply == ["FOLLOWS", 1_000]
    await lab.care.elect("one", 0, now_ms=NOW)
    assert lab.reply == ["RESIGNED"]
    assert (await lab.care.elect("two", 1_000, now_ms=NOW)).epoch == 2
    await lab.care.elect("one", 0, now_ms=NOW + 1_000)
    assert lab.reply == ["RESIGNED"]
    assert (await lab.care.elect("two", 1_000, now_ms=NOW + 999)).epoch == 2


async def test_a_clock_set_back_does_not_keep_a_dead_scheduler_elected(lab: StateLab) -> None:
    await lab.care.elect("one", 1_000, now_ms=NOW)
    back = NOW - HOUR
    assert (await lab.care.elect("two", 1_000, now_ms=back)).epoch == 2
    await lab.submit("a", now_ms=back)
    await lab.describe(await lab.register())
    granting = lab.allocations.grant("a", [lab.planned("r")], epoch=1, now_ms=back)
    await refused(lab, granting, Deposed)
