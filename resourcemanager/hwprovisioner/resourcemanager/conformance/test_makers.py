"""What a Maker promises about its instances."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwprovisioner.resourcemanager.conformance.bench import Bench, on_bench
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Power


@on_bench
async def test_what_is_made_is_found_until_it_is_destroyed(bench: Bench) -> None:
    maker, instance = bench.maker, bench.instance()
    assert not await maker.is_well(instance)
    await bench.within("ready_up_s", maker.make(instance, bench.lines.append))
    assert await bench.existing() == {instance.name}
    assert await maker.is_well(instance)
    await bench.within("clean_s", maker.destroy(instance.name, bench.lines.append))
    assert not await bench.existing()
    assert not await maker.is_well(instance)


@on_bench
async def test_making_again_leaves_what_is_whole_as_it_is(bench: Bench) -> None:
    maker, instance = bench.maker, bench.instance()
    hold = replace(bench.hold(), id=instance.name)
    await bench.within("ready_up_s", maker.make(instance, bench.lines.append))
    first = await maker.hand_over(instance, hold, bench.lines.append)
    await bench.within("ready_up_s", maker.make(instance, bench.lines.append))
    assert await maker.hand_over(instance, hold, bench.lines.append) == first
    assert await bench.existing() == {instance.name}


@on_bench
async def test_what_was_made_for_nobody_is_any_hold_s_under_its_own_name(bench: Bench) -> None:
    maker, instance = bench.maker, bench.instance()
    await bench.within("ready_up_s", maker.make(instance, bench.lines.append))
    assert await maker.is_well(instance)
    hold = replace(bench.hold(), pooled=instance.name)
    first = await bench.within("ready_up_s", maker.hand_over(instance, hold, bench.lines.append))
    assert await bench.prepare(hold, bench.another()) == first
    assert await bench.existing() == {instance.name}
    if maker.has_power:
        await bench.within("ready_up_s", maker.power(Power.ON, hold, bench.lines.append))
    if maker.has_console:
        _, writer = await bench.within("check_s", maker.console(hold))
        writer.close()
    await bench.give_back(hold)
    assert not await bench.existing()


@on_bench
async def test_an_orphan_is_found_and_destroyed_by_who_knows_its_name_alone(bench: Bench) -> None:
    maker, instance = bench.maker, bench.instance()
    await bench.within("ready_up_s", maker.make(instance, bench.lines.append))
    heir = bench.another()
    assert isinstance(heir, Maker)
    assert instance.name in await heir.existing()
    await bench.within("clean_s", heir.destroy(instance.name, bench.lines.append))
    assert not await bench.existing()


@on_bench
async def test_what_never_was_is_destroyed_and_so_is_what_is_gone(bench: Bench) -> None:
    maker, instance = bench.maker, bench.instance()
    for _ in range(2):
        await bench.within("clean_s", maker.destroy(instance.name, bench.lines.append))


@on_bench
async def test_another_resource_s_instances_are_not_counted_as_its_own(bench: Bench) -> None:
    maker, instance = bench.maker, bench.instance()
    await bench.within("ready_up_s", maker.make(instance, bench.lines.append))
    resource = bench.subject.resource
    for name in (f"{resource.name[:60]}-2", resource.name[:-1] or "other"):
        other = bench.subject.driver(replace(resource, name=name))
        assert isinstance(other, Maker)
        assert instance.name not in await other.existing()


@on_bench
async def test_what_another_manager_makes_under_the_same_name_is_not_touched(bench: Bench) -> None:
    maker, instance, other = bench.maker, bench.instance(), bench.of_another_manager()
    await bench.within("ready_up_s", maker.make(instance, bench.lines.append))
    assert instance.name not in await other.existing()
    assert not await other.is_well(instance)
    await bench.within("clean_s", other.destroy(instance.name, bench.lines.append))
    assert await maker.is_well(instance)
    try:
        await bench.within("ready_up_s", other.make(instance, bench.lines.append))
        assert instance.name in await other.existing()
        await bench.within("clean_s", maker.destroy(instance.name, bench.lines.append))
        assert not await bench.existing()
        assert await other.is_well(instance)
    finally:
        await bench.within("clean_s", other.destroy(instance.name, bench.lines.append))
    assert instance.name not in await other.existing()


@on_bench
async def test_an_image_that_it_does_not_have_is_refused_and_leaves_nothing(bench: Bench) -> None:
    maker, instance = bench.maker, replace(bench.instance(), image="no-such-image")
    with pytest.raises(DriverError, match="no-such-image"):
        await bench.within("ready_up_s", maker.make(instance, bench.lines.append))
    await bench.within("clean_s", maker.destroy(instance.name, bench.lines.append))
    assert not await bench.existing()
