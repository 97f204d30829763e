"""Nothing is granted while managers come back with what the lab may have lost, but not for ever."""

import asyncio
from typing import Any

import pytest

from hwprovisioner.allocate import homecoming
from hwprovisioner.allocate.homecoming import Homecoming
from hwprovisioner.state.model import Manager
from hwprovisioner.state.tables import Presence
from hwprovisioner.state.transitions import Commit
from hwprovisioner.state.view import View


def manager(**fields: Any) -> Manager:
    missing: dict[str, Any] = {
        "id": "m",
        "presence": Presence.DISCONNECTED,
        "returning": True,
    }
    return Manager(**(missing | fields))


@pytest.fixture
def view() -> View:
    return View()


@pytest.mark.parametrize(
    ("known", "waits"),
    [
        ({}, True),
        ({"presence": Presence.ONLINE}, True),
        ({"presence": Presence.LOST}, False),
        ({"returning": False}, False),
    ],
)
async def test_who_was_there_is_waited_for(view: View, known: dict[str, Any], waits: bool) -> None:
    coming = Homecoming(view, lambda: None)
    view.load(1, [manager(**known)])
    assert coming.waits() is waits


async def test_with_the_last_one_the_wait_is_over(view: View) -> None:
    coming = Homecoming(view, lambda: None)
    view.load(1, [manager(), manager(id="n")])
    assert coming.waits()
    for revision, name in ((2, "m"), (3, "n")):
        changes = f'[["manager","{name}",["presence","ONLINE","returning","0"]]]'
        view.offer(Commit(revision, 0, "return", changes))
        assert coming.waits() is (name == "m")


async def test_a_loss_under_way_begins_another_wait(view: View) -> None:
    coming = Homecoming(view, lambda: None)
    view.load(1, [manager(returning=False)])
    assert not coming.waits()
    changes = '[["manager","m",["presence","DISCONNECTED","returning","1"]]]'
    view.offer(Commit(2, 0, "recognize", changes))
    assert coming.waits()


async def test_who_stays_away_is_not_waited_for_for_ever(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homecoming, "LIMIT_S", 0.02)
    over = asyncio.Event()
    coming = Homecoming(view, over.set)
    view.load(1, [manager()])
    assert coming.waits()
    await over.wait()
    assert not coming.waits()
