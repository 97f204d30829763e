"""A hold from the first call to the last, and again."""

from __future__ import annotations

import pytest

from hwprovisioner.resourcemanager.conformance.bench import Bench, on_bench
from hwprovisioner.resourcemanager.model import Hold


@on_bench
async def test_a_resource_is_lent_cleaned_and_lent_again(bench: Bench) -> None:
    for _ in range(2):
        hold = bench.hold()
        await bench.prepare(hold)
        await bench.give_back(hold)
        assert not await bench.existing()
        await bench.check()


@on_bench
async def test_preparing_twice_makes_no_second_one(bench: Bench) -> None:
    hold = bench.hold()
    first = await bench.prepare(hold)
    before = await bench.existing()
    assert await bench.prepare(hold) == first
    assert await bench.existing() == before
    await bench.give_back(hold)
    assert not await bench.existing()


@on_bench
async def test_a_manager_that_died_goes_on_with_what_it_prepared(bench: Bench) -> None:
    hold = bench.hold()
    first = await bench.prepare(hold)
    before = await bench.existing()
    heir = bench.another()
    assert await bench.prepare(hold, heir) == first
    assert await bench.existing() == before
    await bench.give_back(hold, heir)
    assert not await bench.existing()


@on_bench
async def test_what_never_was_is_torn_down_and_cleaned(bench: Bench) -> None:
    await bench.give_back(bench.hold())
    hold = bench.hold()
    await bench.prepare(hold)
    await bench.give_back(hold)


@on_bench
async def test_tearing_down_and_cleaning_may_come_twice(bench: Bench) -> None:
    hold = bench.hold()
    await bench.prepare(hold)
    await bench.tear_down(hold)
    await bench.tear_down(hold)
    await bench.clean(hold)
    await bench.clean(hold)
    await bench.give_back(hold)


@on_bench
async def test_a_manager_that_lost_its_journal_cleans_what_it_knows_by_its_id_alone(
    bench: Bench,
) -> None:
    hold = bench.hold()
    await bench.prepare(hold)
    await bench.give_back(Hold(hold.id, hold.resource, hold.fence), bench.another())
    assert not await bench.existing()
    await bench.check()


@on_bench
async def test_holds_of_a_dynamic_resource_do_not_touch_one_another(bench: Bench) -> None:
    division = bench.subject.resource.division
    if division is None or division.instances < 2:
        pytest.skip("the entry lends to one hold at a time")
    first, second = bench.hold(), bench.hold()
    await bench.prepare(first)
    there = await bench.prepare(second)
    await bench.give_back(first)
    assert await bench.prepare(second) == there
    await bench.give_back(second)
