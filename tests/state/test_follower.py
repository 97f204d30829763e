"""The follower keeps a view right whatever happens to the log and to Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from hwprovisioner.state import follower as follower_module
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.follower import Follower
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.model import Resource
from hwprovisioner.state.view import View
from support.eventually import eventually
from support.lab_promises import Records, check_view
from support.redis_server import running
from support.state_lab import StateLab


class GatedLink:
    """A link whose reads of the log, or of one index, wait until they are let through."""

    def __init__(self, link: Link, command: str) -> None:
        self._link = link
        self._command = command
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.tried = self.connected = True

    async def call(self, *args: str | int | bytes) -> Any:
        if args[0] == self._command and not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()
        return await self._link.call(*args)

    async def call_each(self, name: str, keys: Iterable[str], *args: str) -> list[Any]:
        return await self._link.call_each(name, keys, *args)


@pytest.fixture(autouse=True)
def short_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "BLOCK_MS", 20)
    monkeypatch.setattr(follower_module, "_RETRY_S", 0.01)


@pytest.fixture
async def reading(redis_url: str) -> AsyncIterator[Link]:
    async with Link(redis_url) as link:
        yield link


@asynccontextmanager
async def following(link: Link | GatedLink, view: View) -> AsyncIterator[Follower]:
    follower = Follower(cast("Link", link), Keys(), view)
    task = asyncio.create_task(follower.follow())
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.wait([task])


async def caught_up(lab: StateLab, view: View) -> None:
    """Wait until a view shows what Redis has."""

    async def check() -> bool:
        dump = await lab.dump()
        check_view(view, Records.of(dump))
        return view.revision == int(dump.get("revision", ["0"])[0])

    await eventually(check)


async def test_a_view_follows_from_an_empty_lab_on(lab: StateLab, reading: Link) -> None:
    view = View()
    async with following(reading, view) as follower:
        await follower.following()
        who = await lab.register()
        await lab.describe(who)
        await lab.submit()
        await view.reached(lab.view.revision)
        await caught_up(lab, view)


async def test_who_comes_while_the_lab_is_read_waits_until_it_has_been(
    lab: StateLab, reading: Link
) -> None:
    gated = GatedLink(reading, "SMEMBERS")
    await lab.register("one")
    view = View()
    async with following(gated, view) as follower:
        await gated.waiting.wait()
        coming = asyncio.create_task(follower.following(patience_ms=10))
        ready, _ = await asyncio.wait([coming], timeout=0.1)
        assert not ready
        gated.gate.set()
        await coming
        assert set(view.managers) == {"one"}


async def test_who_comes_while_redis_is_away_is_told_so() -> None:
    async with (
        Link("redis://127.0.0.1:1/0", patience_ms=10) as link,
        following(link, View()) as follower,
    ):
        with pytest.raises(StateUnavailable, match="Redis is away"):
            await follower.following(patience_ms=10)


async def test_a_lab_that_is_never_read_is_not_waited_for_for_ever(reading: Link) -> None:
    gated = GatedLink(reading, "SMEMBERS")
    async with following(gated, View()) as follower:
        with pytest.raises(StateUnavailable, match="not all of it has been read"):
            await follower.following(patience_ms=1)


async def test_own_commits_may_come_before_the_log_has_those_of_others(
    lab: StateLab, reading: Link
) -> None:
    gated = GatedLink(reading, "XREAD")
    view = View()
    async with following(gated, view):
        await gated.waiting.wait()
        await lab.register("one")
        await lab.register("two")
        view.offer(lab.commits[1])
        assert view.managers == {}
        gated.gate.set()
        await caught_up(lab, view)


@pytest.mark.parametrize("lost", ["trimmed", "all", "one in the middle"])
async def test_a_log_that_has_lost_changes_is_made_up_for_by_a_load(
    lab: StateLab, reading: Link, lost: str
) -> None:
    gated = GatedLink(reading, "XREAD")
    view = View()
    heard: list[object] = []
    async with following(gated, view):
        await gated.waiting.wait()
        view.listen(heard.append)
        for name in ("one", "two", "three", "four"):
            await lab.register(name)
        if lost == "one in the middle":
            await lab.link.call("XDEL", lab.keys.log, "2-0")
        else:
            left = 1 if lost == "trimmed" else 0
            await lab.link.call("XTRIM", lab.keys.log, "MAXLEN", left)
            if lost == "all":
                await lab.register("five")
        gated.gate.set()
        await caught_up(lab, view)
        assert None in heard


async def test_what_changes_during_a_load_is_in_it_before_anyone_is_told(
    lab: StateLab, reading: Link
) -> None:
    who = await lab.register()
    await lab.describe(who)
    await lab.submit()
    await lab.elect()
    gated = GatedLink(reading, "SMEMBERS")
    view = View()
    shown: list[tuple[int, tuple[str, ...], list[str]]] = []

    def note(change: object) -> None:
        allocation = view.allocations.get("a")
        shown.append((view.revision, allocation.holds if allocation else (), list(view.holds)))

    view.listen(note)
    async with following(gated, view):
        await gated.waiting.wait()
        await lab.grant("a")
        await lab.register("other")
        gated.gate.set()
        await caught_up(lab, view)
    assert shown == [(lab.view.revision, ("r.1",), ["r.1"])]


async def test_a_log_trimmed_during_a_load_makes_it_load_again(
    lab: StateLab, reading: Link
) -> None:
    gated = GatedLink(reading, "XRANGE")
    view = View()
    async with following(gated, view):
        await gated.waiting.wait()
        for name in ("one", "two", "three"):
            await lab.register(name)
        await lab.link.call("XTRIM", lab.keys.log, "MAXLEN", 1)
        gated.gate.set()
        await caught_up(lab, view)
        assert set(view.managers) == {"one", "two", "three"}


async def test_a_lab_that_went_back_in_time_is_loaded_anew(lab: StateLab, reading: Link) -> None:
    view = View()
    async with following(reading, view):
        for name in ("one", "two", "three"):
            await lab.register(name)
        await caught_up(lab, view)
        await lab.link.call("FLUSHALL")
        lab.view.load(0, [])
        await lab.register("other")
        await caught_up(lab, view)
        assert set(view.managers) == {"other"}


async def test_a_redis_that_comes_back_with_older_data_is_followed_from_there() -> None:
    with running() as server:
        async with Link(server.url) as writing, Link(server.url, timeout_ms=1000) as reading:
            lab, view = StateLab(writing), View()
            states: list[bool] = []
            async with following(reading, view) as follower:
                follower.listen(states.append)
                await lab.register("one")
                await lab.register("two")
                await caught_up(lab, view)
                server.kill()
                await eventually(lambda: states and not states[-1])
                with pytest.raises(StateUnavailable):
                    await follower.following(patience_ms=1)
                assert set(view.managers) == {"one", "two"}, "it stands still, and shows what was"
                server.start()
                await writing.wait_connected()
                again = StateLab(writing)
                await again.register("other")
                await caught_up(again, view)
                await follower.following()
                assert states[-1]
                assert set(view.managers) == {"other"}


async def test_a_big_lab_is_loaded_whole(lab: StateLab, reading: Link) -> None:
    who = await lab.register()
    await asyncio.gather(*(lab.describe(who, f"r{i}") for i in range(1_100)))
    view = View()
    async with following(reading, view):
        await view.reached(lab.view.revision)
        assert view.resources == lab.view.resources
        assert isinstance(view.resources["r1099"], Resource)
