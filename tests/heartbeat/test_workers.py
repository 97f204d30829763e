"""Several processes on one port, for real: killed, stopped, and left alone."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from hwprovisioner.state.link import Link
from hwprovisioner.v1.heartbeat_service_pb2 import HeartbeatRequest
from hwprovisioner.v1.heartbeat_service_pb2_grpc import HeartbeatServiceStub
from support.eventually import eventually
from support.lab_state import TOKEN, LabState


class Service:
    """`hwp-heartbeat --workers 2`, whose log is followed."""

    def __init__(self, redis_url: str, log: Path, port: int = 0) -> None:
        ours = ("HWP_", "REDIS")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hwprovisioner.heartbeat", "--workers", "2"],
                env=kept | {"HWP_REDIS_URL": redis_url, "HWP_HEARTBEAT_PORT": str(port)},
                stderr=output,
            )
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def port(self) -> int:
        found = re.search(r"listens on [\d.]+:(\d+) with 2 workers", self.log)
        assert found, self.log
        return int(found[1])

    @property
    def workers(self) -> dict[int, int]:
        """The process of each worker, by its number."""
        parent = self.process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return {number_of(int(pid)): int(pid) for pid in children}

    async def serve(self, times: int = 1) -> None:
        """Wait until all have served so often."""
        await eventually(lambda: self.log.count("2 of 2 workers serve") >= times)


def number_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-3])


def is_there(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture
async def lab(redis_url: str) -> AsyncIterator[LabState]:
    async with Link(redis_url) as link:
        yield LabState(link)


@pytest.fixture
async def service(lab: LabState, redis_url: str, tmp_path: Path) -> AsyncIterator[Service]:
    await lab.tend()
    service = Service(redis_url, tmp_path / "log")
    try:
        await service.serve()
        yield service
    finally:
        service.process.kill()
        service.process.wait()


async def beat(service: Service, name: str) -> int:
    """Beat over a connection of its own, and return what the lease has left, in ms."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", options=options) as channel:
        request = HeartbeatRequest(allocation_id=name, token=TOKEN)
        answer = await HeartbeatServiceStub(channel).Heartbeat(request, timeout=10)
        return int(answer.remaining_lease.ToMilliseconds())


async def signed_on(lab: LabState) -> dict[str, str]:
    """By worker: the process that it was when it was heard last, `-` if it has left."""
    found = await lab.link.call("HGETALL", lab.keys.beaters)
    records = dict(zip(found[::2], found[1::2], strict=True))
    return {name.rpartition("#")[2]: said.split()[2] for name, said in records.items()}


async def test_each_worker_has_a_core_and_a_place_of_its_own(
    service: Service, lab: LabState
) -> None:
    await lab.submit("a")
    assert {await beat(service, "a") for _ in range(20)} == {30_000}
    workers = service.workers
    assert sorted(workers) == [1, 2]
    cores = sorted(os.sched_getaffinity(service.process.pid))
    for number, pid in workers.items():
        assert os.sched_getaffinity(pid) == {cores[(number - 1) % len(cores)]}
    assert sorted(await signed_on(lab)) == ["1", "2"]


async def test_one_that_is_killed_is_started_again_and_takes_its_place(
    service: Service, lab: LabState
) -> None:
    await lab.submit("a")
    before, places = service.workers, await signed_on(lab)
    os.kill(before[2], signal.SIGKILL)
    await service.serve(times=2)
    after = service.workers
    assert after[1] == before[1]
    assert after[2] != before[2]
    assert await beat(service, "a") == 30_000

    async def is_back() -> bool:
        now = await signed_on(lab)
        return sorted(now) == ["1", "2"] and now["1"] == places["1"] and now["2"] != places["2"]

    await eventually(is_back)


async def test_a_signal_stops_all_in_order(service: Service, lab: LabState) -> None:
    workers = service.workers
    service.process.terminate()
    assert await asyncio.to_thread(service.process.wait) == 0
    assert not any(is_there(pid) for pid in workers.values())
    assert "-" in (await signed_on(lab)).values(), "at least one has signed off"
    assert "ended with status" not in service.log
    assert "Traceback" not in service.log


async def test_workers_stop_when_nobody_watches_them_any_more(service: Service) -> None:
    workers = service.workers
    service.process.kill()
    service.process.wait()
    await eventually(lambda: not any(is_there(pid) for pid in workers.values()))


async def test_a_taken_port_is_one_clear_line(redis_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = Service(redis_url, tmp_path / "log", port)
        assert await asyncio.to_thread(service.process.wait) == 78
    assert f"cannot listen on 127.0.0.1:{port}" in service.log
    assert "Traceback" not in service.log


async def test_a_port_that_others_share_is_taken(
    service: Service, redis_url: str, tmp_path: Path
) -> None:
    second = Service(redis_url, tmp_path / "second", service.port)
    assert await asyncio.to_thread(second.process.wait) == 78
    assert f"cannot listen on 127.0.0.1:{service.port}" in second.log
