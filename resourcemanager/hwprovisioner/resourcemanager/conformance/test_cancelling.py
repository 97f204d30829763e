"""Any call may be cancelled at any await: it ends then and there, and leaves nothing running."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from hwprovisioner.resourcemanager.conformance.bench import Bench, on_bench
from hwprovisioner.resourcemanager.conformance.cancelling import awaits_of, cancel, spread
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Hold


def _call(bench: Bench, name: str, hold: Hold) -> Coroutine[Any, Any, Any]:
    method = getattr(bench.driver, name)
    call: Coroutine[Any, Any, Any] = (
        method(hold, bench.lines.append) if name in ("prepare", "tear_down", "clean") else method()
    )
    return call


async def _hold_before(bench: Bench, name: str) -> Hold:
    """Return a hold that is as far as it is when a call comes."""
    hold = bench.hold()
    if name in ("tear_down", "clean"):
        await bench.prepare(hold)
    if name == "clean":
        await bench.tear_down(hold)
    return hold


@pytest.mark.parametrize("name", ["check", "describe", "existing", "prepare", "tear_down", "clean"])
@on_bench
async def test_a_cancelled_call_ends_and_the_next_hold_finds_nothing_of_it(
    bench: Bench, name: str
) -> None:
    if name == "existing" and not isinstance(bench.driver, Maker):
        pytest.skip(f"driver {bench.subject.resource.driver} is no Maker")
    hold = await _hold_before(bench, name)
    awaits = await awaits_of(_call(bench, name, hold))
    await bench.give_back(hold)
    tasks = asyncio.all_tasks()
    for at in spread(awaits, bench.subject.cancellations):
        hold = await _hold_before(bench, name)
        went_wrong = await cancel(_call(bench, name, hold), at)
        assert not went_wrong, f"{name} was cancelled at await {at} of {awaits}: {went_wrong}"
        await bench.give_back(hold)
        await bench.quiet(tasks)
        assert not await bench.existing()


@on_bench
async def test_what_was_cancelled_half_way_can_be_prepared_after_all(bench: Bench) -> None:
    hold = bench.hold()
    awaits = await awaits_of(_call(bench, "prepare", hold))
    await bench.give_back(hold)
    for at in spread(awaits, bench.subject.cancellations):
        hold = bench.hold()
        await cancel(_call(bench, "prepare", hold), at)
        await bench.prepare(hold, bench.another())
        assert len(await bench.existing()) <= 1
        await bench.give_back(hold)
