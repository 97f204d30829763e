"""An idle lab: how long from a demand to its hardware, and from a heartbeat to its answer.

Each round makes an empty unary call (grpc.health's Check) to the same server right beside what is
measured, so that both see the same machine at the same moment.
"""

from __future__ import annotations

import time

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from benchmarks.measuring import Ratio, Timings
from benchmarks.running_suite import Addresses
from hwprovisioner.v1 import (
    allocate_service_pb2,
    allocate_service_pb2_grpc,
    allocation_pb2,
    demand_pb2,
    heartbeat_service_pb2,
    heartbeat_service_pb2_grpc,
)

_DEMANDS = demand_pb2.Demands(hosts={"host": demand_pb2.HostDemand(cpus="1")})


async def measure(addresses: Addresses, rounds: int) -> tuple[list[Timings], list[Ratio]]:
    """Measure, one call at a time."""
    async with (
        grpc.aio.insecure_channel(addresses.allocate) as allocate,
        grpc.aio.insecure_channel(addresses.heartbeat) as heartbeat,
    ):
        ready = await _measure_ready(allocate, rounds)
        beats = await _measure_beats(allocate, heartbeat, rounds)
    empty, first, granted, all_ready, cleaned = ready
    empty_beside, beat = beats
    ratios = [
        Ratio("demand to first answer / empty call", first.median_ms / empty.median_ms),
        Ratio("demand to granted / empty call", granted.median_ms / empty.median_ms),
        Ratio("demand to ready / empty call", all_ready.median_ms / empty.median_ms, at_most=10),
        Ratio("release to cleaned / empty call", cleaned.median_ms / empty.median_ms),
        Ratio("heartbeat / empty call", beat.median_ms / empty_beside.median_ms),
    ]
    return [*ready, *beats], ratios


async def _measure_ready(channel: grpc.aio.Channel, rounds: int) -> list[Timings]:
    lab = allocate_service_pb2_grpc.AllocateServiceStub(channel)
    health = health_pb2_grpc.HealthStub(channel)
    empty = Timings("empty unary call to allocate")
    first, granted = Timings("demand to first answer"), Timings("demand to granted")
    ready, cleaned = Timings("demand to ready"), Timings("release to cleaned")
    for _ in range(rounds):
        await empty.time(lambda: health.Check(health_pb2.HealthCheckRequest()))
        token = ""
        start = time.perf_counter()
        call = lab.Allocate(allocate_service_pb2.AllocateRequest(demands=_DEMANDS))
        async for answer in call:
            passed = time.perf_counter() - start
            allocation = answer.update.allocation
            if answer.token:
                token = answer.token
                first.add(passed)
            if answer.update.HasField("preparing") and not answer.update.preparing.host:
                granted.add(passed)
            if answer.update.HasField("ready"):
                ready.add(passed)
                break
        cleaned.add(await _give_back(lab, allocation, token))
        call.cancel()
    return [empty, first, granted, ready, cleaned]


async def _give_back(
    lab: allocate_service_pb2_grpc.AllocateServiceAsyncStub,
    allocation: allocation_pb2.Allocation,
    token: str,
) -> float:
    """Release, wait until everything is clean, and return how long that took, in s."""
    # Watched from here on only: telling each change would slow what was measured before.
    changes = lab.WatchLab(allocate_service_pb2.WatchLabRequest(after_revision=allocation.revision))
    start = time.perf_counter()
    await lab.ReleaseAllocation(
        allocate_service_pb2.ReleaseAllocationRequest(allocation_id=allocation.id, token=token)
    )
    async for change in changes:
        if change.event == "cleaned":
            break
    passed = time.perf_counter() - start
    changes.cancel()
    return passed


async def _measure_beats(
    allocate: grpc.aio.Channel, heartbeat: grpc.aio.Channel, rounds: int
) -> list[Timings]:
    lab = allocate_service_pb2_grpc.AllocateServiceStub(allocate)
    call = lab.Allocate(allocate_service_pb2.AllocateRequest(demands=_DEMANDS))
    answer = await call.read()
    assert isinstance(answer, allocate_service_pb2.AllocateResponse)
    beat = heartbeat_service_pb2.HeartbeatRequest(
        allocation_id=answer.update.allocation.id, token=answer.token
    )
    beats = heartbeat_service_pb2_grpc.HeartbeatServiceStub(heartbeat)
    health = health_pb2_grpc.HealthStub(heartbeat)
    empty, beaten = Timings("empty unary call to heartbeat"), Timings("heartbeat")
    for _ in range(rounds):
        await empty.time(lambda: health.Check(health_pb2.HealthCheckRequest()))
        await beaten.time(lambda: beats.Heartbeat(beat))
    await lab.ReleaseAllocation(
        allocate_service_pb2.ReleaseAllocationRequest(
            allocation_id=beat.allocation_id, token=beat.token
        )
    )
    call.cancel()
    return [empty, beaten]
