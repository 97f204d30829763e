"""Switching the power of hosts, wherever their manager's stream is."""

import asyncio
from typing import Any

import grpc.aio
import pytest

from hwprovisioner.resourcemanager.model import Power
from hwprovisioner.v1 import resource_pb2
from support.bench import ON, Bench
from support.eventually import eventually
from support.refusals import refusal_of


async def test_power_is_switched(anywhere: Bench) -> None:
    for action in (ON, resource_pb2.POWER_ACTION_OFF, resource_pb2.POWER_ACTION_CYCLE):
        await anywhere.switch(action)
    assert anywhere.machine.switched == [Power.ON, Power.OFF, Power.CYCLE]


async def test_a_driver_that_cannot_switch_power_is_quoted(anywhere: Bench) -> None:
    anywhere.machine.trouble = "the relay is stuck"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anywhere.switch()
    assert refusal_of(caught.value).reason == "DRIVER_FAILED"
    assert "the relay is stuck" in (caught.value.details() or "")


async def test_what_has_no_power_control_says_so(near: Bench) -> None:
    near.machine.has_power = False
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await near.switch()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert refusal_of(caught.value).reason == "NO_POWER_CONTROL"


async def test_power_that_is_asked_for_again_and_again_is_switched_once(
    near: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwprovisioner.allocate.switchboard._AGAIN_S", 0.01)
    told = 0
    switch = near.manager.agent.channels.switch_power

    def count(call: Any) -> None:
        nonlocal told
        told += 1
        switch(call)

    monkeypatch.setattr(near.manager.agent.channels, "switch_power", count)
    near.machine.gate.clear()
    switching = asyncio.create_task(near.switch())
    await eventually(lambda: told > 5)
    near.machine.gate.set()
    await switching
    assert near.machine.switched == [Power.ON]


async def test_power_is_not_switched_any_more_when_the_host_is_given_back(either: Bench) -> None:
    either.machine.gate.clear()
    switching = asyncio.create_task(either.switch())
    await either.machine.switching.wait()
    await either.asked.release()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await switching
    assert refusal_of(caught.value).reason == "ALLOCATION_ENDED"
    await eventually(lambda: either.manager.agent.channels.count == 0)
    either.machine.gate.set()
    assert either.machine.switched == []


async def test_power_that_is_not_said_is_refused(near: Bench) -> None:
    for action in (0, 17):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await near.switch(action)
        assert refusal_of(caught.value).reason == "BAD_REQUEST"
