import asyncio
from collections.abc import Sequence

import pytest

from hwprovisioner.heartbeat.gathering import Gatherer


class Writer:
    """Answers each item with its double; `release` lets it, if it is held."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.release = asyncio.Event()
        if not held:
            self.release.set()

    async def write(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.release.wait()
        return [2 * item for item in items]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_comes_in_one_turn_is_written_at_once() -> None:
    writer = Writer()
    async with Gatherer[int, int](writer.write, largest_batch=500) as gatherer:
        results = await asyncio.gather(*(gatherer.add(n) for n in range(100)))
    assert results == [2 * n for n in range(100)]
    assert writer.batches == [list(range(100))]


async def test_a_lone_item_waits_for_the_quiet_turns_alone() -> None:
    writer = Writer()
    async with Gatherer[int, int](
        writer.write, largest_batch=500, quiet_turns=3, longest_wait_s=3600
    ) as gatherer:
        task = asyncio.create_task(gatherer.add(1))
        await turns(3)
        assert not writer.batches
        await turns(3)
        assert writer.batches == [[1]]
        assert await task == 2


async def test_each_item_that_comes_begins_the_quiet_anew() -> None:
    writer = Writer()
    async with Gatherer[int, int](
        writer.write, largest_batch=500, quiet_turns=4, longest_wait_s=3600
    ) as gatherer:
        tasks = []
        for n in range(10):
            tasks.append(asyncio.create_task(gatherer.add(n)))
            await turns(2)
        await asyncio.gather(*tasks)
    assert writer.batches == [list(range(10))]


async def test_no_item_waits_longer_than_the_limit() -> None:
    writer = Writer()
    async with Gatherer[int, int](
        writer.write, largest_batch=500, quiet_turns=10**9, longest_wait_s=0.001
    ) as gatherer:
        assert await gatherer.add(1) == 2


async def test_a_full_batch_is_written_at_once() -> None:
    writer = Writer()
    async with Gatherer[int, int](writer.write, largest_batch=3) as gatherer:
        assert await asyncio.gather(*(gatherer.add(n) for n in range(7))) == [
            2 * n for n in range(7)
        ]
    assert writer.batches == [[0, 1, 2], [3, 4, 5], [6]]


async def test_a_batch_does_not_wait_for_the_one_before() -> None:
    writer = Writer(held=True)
    async with Gatherer[int, int](writer.write, largest_batch=1) as gatherer:
        tasks = [asyncio.create_task(gatherer.add(n)) for n in (1, 2)]
        await turns(3)
        assert writer.batches == [[1], [2]]
        writer.release.set()
        assert await asyncio.gather(*tasks) == [2, 4]


async def test_an_item_whose_caller_is_gone_is_not_written() -> None:
    writer = Writer()
    async with Gatherer[int, int](writer.write, largest_batch=500) as gatherer:
        tasks = [asyncio.create_task(gatherer.add(n)) for n in range(3)]
        await turns(1)
        tasks[0].cancel()
        tasks[2].cancel()
        assert await tasks[1] == 2
    assert writer.batches == [[1]]


async def test_callers_that_go_while_a_batch_is_written_disturb_nobody() -> None:
    writer = Writer(held=True)
    async with Gatherer[int, int](writer.write, largest_batch=3) as gatherer:
        tasks = [asyncio.create_task(gatherer.add(n)) for n in range(3)]
        await turns(2)
        tasks[1].cancel()
        writer.release.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[0] == 0
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2] == 4


async def test_what_writing_raises_is_raised_for_all_and_the_next_batch_goes_on() -> None:
    fails = True

    async def write(items: Sequence[int]) -> Sequence[int]:
        if fails:
            raise ConnectionError("away")
        return items

    async with Gatherer[int, int](write, largest_batch=500) as gatherer:
        results = await asyncio.gather(*(gatherer.add(n) for n in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [ConnectionError] * 3
        fails = False
        assert await gatherer.add(1) == 1


async def test_leaving_writes_what_waits() -> None:
    writer = Writer()
    async with Gatherer[int, int](
        writer.write, largest_batch=500, quiet_turns=10**9, longest_wait_s=3600
    ) as gatherer:
        task = asyncio.create_task(gatherer.add(1))
        await turns(1)
    assert writer.batches == [[1]]
    assert await task == 2


@pytest.mark.parametrize("count", [1, 2, 499, 500, 501, 1001])
async def test_every_item_gets_its_own_result(count: int) -> None:
    writer = Writer()
    async with Gatherer[int, int](writer.write, largest_batch=500) as gatherer:
        results = await asyncio.gather(*(gatherer.add(n) for n in range(count)))
    assert results == [2 * n for n in range(count)]
    assert sum(len(batch) for batch in writer.batches) == count
