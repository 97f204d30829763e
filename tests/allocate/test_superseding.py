"""A manager registers anew, while the older stream is at anything."""

import asyncio
import contextlib
from collections import Counter

import grpc.aio

from hwprovisioner.v1 import manager_stream_pb2 as stream
from support.asking import LIMIT_S
from support.fake_manager import machine
from support.refusals import refusal_of
from support.services import Running

INVENTORY = [machine(f"r{number}") for number in range(20)]
ROUNDS = 10


async def talk(service: Running, messages: int) -> tuple[str, str]:
    """Register and say much; return why the stream ended, as was said in it and by its status."""
    call = service.stub.Subscribe()
    told = ""

    async def say() -> None:
        register = stream.Register(manager_id="m", inventory=INVENTORY)
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await call.write(stream.SubscribeRequest(register=register))
            for number in range(messages):
                spec = INVENTORY[number % len(INVENTORY)]
                volunteer = stream.Volunteer(spec=spec, warnings=[f"{number}"])
                await call.write(stream.SubscribeRequest(volunteer=volunteer))

    saying = asyncio.create_task(say())
    try:
        async with asyncio.timeout(LIMIT_S):
            while (message := await call.read()) is not grpc.aio.EOF:
                told = message.refused.reason or told
        return told, "OK"
    except grpc.aio.AioRpcError as error:
        # Where a message of its own was on its way, gRPC makes INTERNAL of whatever it was.
        is_known = error.details() != "Internal error from Core"
        return told, refusal_of(error).reason if is_known else "INTERNAL"
    finally:
        saying.cancel()
        call.cancel()


async def test_whoever_is_superseded_is_told_so_whatever_it_says(service: Running) -> None:
    found: Counter[tuple[str, str]] = Counter()
    for _ in range(ROUNDS):
        talks = {asyncio.create_task(talk(service, messages)) for messages in (0, 5, 40, 200) * 2}
        while len(talks) > 1:
            done, talks = await asyncio.wait(talks, return_when=asyncio.FIRST_COMPLETED)
            found.update(each.result() for each in done)
        [newest] = talks
        newest.cancel()
        await asyncio.wait(talks)
    assert found.total() == 7 * ROUNDS
    for (told, status), count in found.items():
        assert "SUPERSEDED" in (told, status), (told, status, count)
