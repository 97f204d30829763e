"""Who gets no channel to a host, and why."""

import contextlib
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from redis.asyncio import Redis

from hwprovisioner.allocate import channel_desk
from hwprovisioner.state.keys import Keys
from hwprovisioner.v1 import allocate_service_pb2 as pb
from support import fake_manager
from support.asking import asking, wanting
from support.bench import Bench, bench, refused
from support.eventually import eventually
from support.manager import box, manager
from support.reachable import (
    CHUNK,
    GREETING,
    a_machine,
    tcp_service,
)
from support.refusals import refusal_of
from support.services import allocate


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"token": "another"}, "WRONG_TOKEN"),
        ({"allocation_id": "nobodys"}, "NO_SUCH_ALLOCATION"),
        ({"host": "db"}, "NO_SUCH_HOST"),
        ({"token": ""}, "BAD_REQUEST"),
        ({"allocation_id": ""}, "BAD_REQUEST"),
    ],
)
async def test_only_the_holder_gets_at_the_host(
    near: Bench, more: dict[str, Any], reason: str
) -> None:
    assert (await refused(near, console=True, **more))[1] == reason
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await near.switch(**more)
    assert refusal_of(caught.value).reason == reason
    assert near.machine.switched == []
    assert near.machine.consoles == 0


@pytest.mark.parametrize("target", [{"port": 0}, {"port": 65536}, {"console": False}, {}])
async def test_a_target_that_is_none_is_refused(near: Bench, target: dict[str, Any]) -> None:
    assert (await refused(near, **target))[1] == "BAD_REQUEST"


async def test_a_port_where_nobody_listens_is_said_to_be_so(anywhere: Bench) -> None:
    async with tcp_service() as service:
        port = service.port
    code, reason, said = await refused(anywhere, port=port)
    assert (code, reason) == (grpc.StatusCode.ABORTED, "DRIVER_FAILED")
    assert f"127.0.0.1:{port} does not answer" in said


async def test_what_has_no_console_says_so(anywhere: Bench) -> None:
    anywhere.machine.has_console = False
    code, reason, said = await refused(anywhere, console=True)
    assert (code, reason) == (grpc.StatusCode.UNIMPLEMENTED, "NO_CONSOLE")
    assert "box" in said


async def test_hosts_that_are_not_ready_and_hosts_that_are_no_more(
    redis_url: str, tmp_path: Path
) -> None:
    async with bench(redis_url, tmp_path) as found, asking(found.stub) as queued:
        waiting = {"allocation_id": queued.id, "token": queued.token, "console": True}
        assert (await refused(found, **waiting))[1] == "NOT_READY"
        await found.asked.release()
        assert (await refused(found, console=True))[1] == "ALLOCATION_ENDED"


async def test_of_several_hosts_one_has_to_be_named(redis_url: str, tmp_path: Path) -> None:
    boxes = {name: box(name) for name in ("one", "two")}
    async with (
        allocate(redis_url) as service,
        a_machine() as machine,
        manager(service.target, tmp_path / "journal", machine.load, boxes) as run,
    ):
        known = [fake_manager.machine(name) for name in boxes]
        await fake_manager.until_known(service.stub, "bench", known)
        async with asking(service.stub, wanting(db={}, edge={})) as asked:
            await asked.until("ready")
            found = Bench([service], machine, run, asked, redis_url)
            _, reason, said = await refused(found, console=True)
            assert reason == "NO_SUCH_HOST"
            assert "db, edge" in said
            async with found.connected(console=True, host="edge") as console:
                await console.read(len(GREETING))


async def test_an_allocation_has_so_many_channels_and_no_more(
    either: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_desk, "MOST_CHANNELS", 2)
    async with either.connected(console=True):
        async with either.connected(console=True):
            code, reason, _ = await refused(either, console=True)
            assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CHANNELS")

        async def opens() -> bool:
            with contextlib.suppress(grpc.aio.AioRpcError):
                async with either.connected(console=True):
                    return True
            return False

        await eventually(opens)


async def test_a_message_that_is_too_long_or_comes_too_late_ends_the_channel(near: Bench) -> None:
    again = pb.ConnectRequest(open=pb.ChannelTarget(port=1))
    for message in (pb.ConnectRequest(data=bytes(CHUNK + 1)), again, pb.ConnectRequest()):
        async with near.connected(console=True) as console:
            await console.call.write(message)
            assert refusal_of(await console.error()).reason == "BAD_REQUEST"
    await near.nothing_is_left()


async def test_nobody_carries_a_channel_that_is_not_there_or_is_carried(near: Bench) -> None:
    async def carried(channel: pb.CarriedChannel) -> str:
        call = near.stub.CarryChannel()
        await call.write(pb.CarryChannelRequest(channel=channel))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        return refusal_of(caught.value).reason

    assert await carried(pb.CarriedChannel(channel_id="guessed")) == "NO_SUCH_CHANNEL"
    async with near.connected(console=True) as console:
        [channel_id] = near.services[0].allocate.channel_desk._openings
        assert await carried(pb.CarriedChannel(channel_id=channel_id)) == "NO_SUCH_CHANNEL"
        await console.send(b"still there")
        assert await console.read(len(GREETING) + 11) == GREETING + b"STILL THERE"


async def test_what_is_no_signal_is_ignored(either: Bench) -> None:
    redis = Redis.from_url(either.redis_url)
    for words in ("", "{}", "[1]", '["channel", "c", "nobody"]', '["call", "bench", "x"]'):
        assert await redis.publish(Keys().signals, words) == len(either.services)
    await redis.aclose()
    async with either.connected(console=True) as console:
        await console.read(len(GREETING))
    assert all(service.readiness.ready for service in either.services)
