"""Managers: every script in every state of presence, from the table."""

import pytest

from hwprovisioner.state import errors
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.tables import PRESENCE, Presence, PresenceEvent
from support.state_lab import NOW, StateLab, manager_in, refused, unchanged

PRESENCES = [*Presence, None]
"""None: there is no such manager."""


@pytest.mark.parametrize("presence", PRESENCES)
async def test_registering_is_right_in_every_state_and_raises_the_epoch(
    lab: StateLab, presence: Presence | None
) -> None:
    await manager_in(lab, presence)
    who = await lab.register(now_ms=NOW + 5)
    assert who.epoch == lab.view.revision
    assert lab.view.managers["m"].presence is Presence.ONLINE
    assert await lab.deadline_ms("manager:m") == NOW + 5 + lab.limits.silence_ms


async def test_since_when_a_manager_has_its_journal_is_remembered(lab: StateLab) -> None:
    first = await lab.register("m", "one")
    again = await lab.register("m", "one")
    assert lab.view.managers["m"].journal_epoch == first.epoch < again.epoch
    await lab.describe(again)
    await lab.elect()
    await lab.submit()
    [hold] = await lab.grant("a")
    assert not lab.view.managers["m"].may_lack(hold)
    await lab.register("m", "one")
    assert not lab.view.managers["m"].may_lack(hold)
    other = await lab.register("m", "two")
    assert lab.view.managers["m"].journal_epoch == other.epoch
    assert lab.view.managers["m"].may_lack(hold)
    # Whoever had the first one knows no more than that either, by now.
    back = await lab.register("m", "one")
    assert lab.view.managers["m"].journal_epoch == back.epoch


async def test_a_manager_has_returned_once_if_it_had_to(lab: StateLab) -> None:
    who = await lab.register()
    await unchanged(lab, lab.managers.returned(who, now_ms=NOW))
    await lab.link.call("HSET", lab.keys.manager("m"), "returning", 1)
    for off_by, error in ((-1, errors.Superseded), (1, errors.Forgotten)):
        other = Speaker("m", who.epoch + off_by)
        await refused(lab, lab.managers.returned(other, now_ms=NOW), error)
    await lab.managers.returned(who, now_ms=NOW)
    assert lab.view.managers["m"].returning is False
    await unchanged(lab, lab.managers.returned(who, now_ms=NOW))


@pytest.mark.parametrize("epoch_off_by", [-1, 0, 1])
@pytest.mark.parametrize("presence", PRESENCES)
async def test_a_stream_that_ends_disconnects_its_own_registration_only(
    lab: StateLab, presence: Presence | None, epoch_off_by: int
) -> None:
    who = await manager_in(lab, presence)
    leaving = lab.managers.disconnect("m", who.epoch + epoch_off_by, now_ms=NOW)
    if epoch_off_by or presence is None:
        assert await unchanged(lab, leaving) is False
        assert lab.reply == ["SUPERSEDED"]
    elif PresenceEvent.DISCONNECT not in PRESENCE[presence]:
        assert await unchanged(lab, leaving) is False
        assert lab.reply == ["WRONG_STATE", presence]
    else:
        assert await leaving is True
        assert lab.view.managers["m"].presence is Presence.DISCONNECTED
        assert await lab.deadline_ms("manager:m") == NOW + lab.limits.lost_ms


@pytest.mark.parametrize("late_ms", [-1, 0])
@pytest.mark.parametrize("event", [PresenceEvent.DISCONNECT, PresenceEvent.LOSE])
@pytest.mark.parametrize("presence", PRESENCES)
async def test_silence_moves_a_manager_on_when_that_is_due(
    lab: StateLab, presence: Presence | None, event: PresenceEvent, late_ms: int
) -> None:
    await manager_in(lab, presence)
    limit_ms = {
        Presence.ONLINE: lab.limits.silence_ms,
        Presence.DISCONNECTED: lab.limits.lost_ms,
        Presence.LOST: 0,
    }
    now_ms = NOW + (limit_ms[presence] if presence else 0) + late_ms
    if event is PresenceEvent.DISCONNECT:
        moving = lab.managers.disconnect("m", now_ms=now_ms)
    else:
        moving = lab.managers.lose("m", now_ms=now_ms)
    if presence is None or late_ms < 0:
        assert await unchanged(lab, moving) is False
        assert lab.reply == ["EARLY"]
    elif event not in PRESENCE[presence]:
        assert await unchanged(lab, moving) is False
        assert lab.reply == ["WRONG_STATE", presence]
    else:
        assert await moving is True
        assert lab.view.managers["m"].presence is PRESENCE[presence][event]


@pytest.mark.parametrize("epoch_off_by", [-1, 0, 1])
@pytest.mark.parametrize("presence", PRESENCES)
async def test_a_sign_of_life_counts_from_whoever_is_online(
    lab: StateLab, presence: Presence | None, epoch_off_by: int
) -> None:
    who = await manager_in(lab, presence)
    hearing = lab.managers.heard(Speaker("m", who.epoch + epoch_off_by), now_ms=NOW + 7)
    if epoch_off_by > 0 or presence is None:
        await refused(lab, hearing, errors.Forgotten)
    elif epoch_off_by < 0:
        await refused(lab, hearing, errors.Superseded)
    elif presence is not Presence.ONLINE:
        await refused(lab, hearing, errors.WrongState)
        assert lab.reply == ["WRONG_STATE", presence]
    else:
        await hearing
        assert await lab.deadline_ms("manager:m") == NOW + 7 + lab.limits.silence_ms


@pytest.mark.parametrize("presence", PRESENCES)
async def test_only_a_lost_manager_is_settled(lab: StateLab, presence: Presence | None) -> None:
    await manager_in(lab, presence)
    settling = lab.managers.settle("m", now_ms=NOW)
    if presence in (Presence.ONLINE, Presence.DISCONNECTED):
        await unchanged(lab, settling)
        assert lab.reply == ["WRONG_STATE", presence]
    else:
        await settling
        assert lab.reply == ["SETTLED"]
        assert await lab.deadline_ms("manager:m") is None
