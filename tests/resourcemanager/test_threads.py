"""The thread that is kept for what is done again and again."""

import asyncio
import threading
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager.holds import Held
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.model import Hold
from hwprovisioner.resourcemanager.threads import Lane
from support.eventually import eventually


async def test_a_lane_does_one_thing_after_the_other_in_one_thread() -> None:
    lane, done = Lane(), list[int]()
    may_go_on = threading.Event()

    def do(number: int) -> threading.Thread:
        if number == 0:
            may_go_on.wait()
        done.append(number)
        return threading.current_thread()

    calls = [asyncio.create_task(lane.call(do, number)) for number in range(3)]
    await asyncio.sleep(0)
    assert done == []
    may_go_on.set()
    threads = set(await asyncio.gather(*calls))
    assert done == [0, 1, 2]
    [thread] = threads
    lane.close()
    await eventually(lambda: not thread.is_alive())


async def test_what_a_lane_is_given_may_fail_and_it_goes_on() -> None:
    lane = Lane()
    with pytest.raises(ValueError, match="smoke"):
        await lane.call(int, "smoke")
    assert await lane.call(int, "7") == 7
    lane.close()


async def test_a_call_that_is_cancelled_holds_nothing_up() -> None:
    lane, may_go_on = Lane(), threading.Event()
    first = asyncio.create_task(lane.call(may_go_on.wait))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    may_go_on.set()
    assert await lane.call(int, "7") == 7
    lane.close()


async def test_a_journal_that_is_given_up_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    journal = Journal.open(tmp_path / "journal")
    journal.put(Held(Hold("h1", "box", 1)))
    await journal.flush()
    [thread] = set(threading.enumerate()) - before
    journal.put(Held(Hold("h2", "box", 2)))
    await journal.flush()
    assert set(threading.enumerate()) - before == {thread}
    journal.close()
    await eventually(lambda: not thread.is_alive())
