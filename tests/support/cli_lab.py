"""The fake lab with what `hwp` needs beside the SDK: resources, managers, explain, health."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import grpc.aio
from click.testing import Result
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]

from hwprovisioner.serving import Readiness
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc as pb_grpc
from hwprovisioner.v1 import heartbeat_service_pb2_grpc as beats_grpc
from hwprovisioner.v1.resource_pb2 import (
    AdminState,
    Gpu,
    Health,
    Hold,
    HoldState,
    Manager,
    Os,
    Presence,
    Resource,
    ResourceKind,
    ResourceSpec,
)
from support.fake_allocation import FakeAllocation
from support.fake_lab import FakeLab
from support.fake_refusals import Code, Refusal
from support.lab_in_thread import LabInThread

Hwp = Callable[..., Result]
"""Runs `hwp` with these words in this process; `stdin` may say what it reads."""


def a_resource(name: str, **more: Any) -> Resource:
    spec = ResourceSpec(
        name=name,
        kind=ResourceKind.RESOURCE_KIND_PHYSICAL_SERVER,
        cpus=8,
        memory_bytes=16 * 2**30,
        gpus=[Gpu(model="rtx4000"), Gpu(model="rtx4000")],
        os=Os(distro="ubuntu", version="22.04", kernel="5.15.0-91"),
        labels={"bench": "", "rack": "a1"},
        driver="ssh",
    )
    best: dict[str, Any] = {
        "presence": Presence.PRESENCE_ONLINE,
        "health": Health.HEALTH_HEALTHY,
        "admin_state": AdminState.ADMIN_STATE_ENABLED,
        "manager": "m1",
        "fence": 3,
    }
    return Resource(spec=spec, **{**best, **more})


def a_hold(allocation_id: str) -> Hold:
    return Hold(id="h1", allocation_id=allocation_id, state=HoldState.HOLD_STATE_READY)


class CliLab(FakeLab):
    """A lab with a few things in it. `asked` holds the requests that tests look at."""

    def __init__(self) -> None:
        super().__init__()
        self.resources = [a_resource("alpha"), a_resource("beta", holds=[a_hold("a-1")])]
        self.managers = [
            Manager(id="m1", presence=Presence.PRESENCE_ONLINE, resource_count=2, version="1.2")
        ]
        self.explanation = pb.ExplainResponse(
            availability=pb.Availability.AVAILABILITY_NOW, summary="can be had now"
        )
        self.asked: list[Any] = []
        self.readiness = Readiness([])

    def _find(self, allocation_id: str, token: str) -> FakeAllocation:
        for allocation in self.allocations.values():
            if allocation.id == allocation_id and not token:
                return allocation
        return super()._find(allocation_id, token)

    async def ReleaseAllocation(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        return await super().ReleaseAllocation(request, context)

    async def ListResources(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        return await super().ListResources(request, context)

    async def GetResource(self, request: Any, context: Any) -> Any:
        for resource in self.resources:
            if resource.spec.name == request.name:
                return pb.GetResourceResponse(resource=resource)
        await Refusal(Code.NOT_FOUND, "no such resource", "NO_SUCH_RESOURCE").abort(context)

    async def ListManagers(self, request: Any, context: Any) -> Any:
        return pb.ListManagersResponse(managers=self.managers, revision=1)

    async def Explain(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        return self.explanation

    async def DrainResource(self, request: Any, context: Any) -> Any:
        self.asked.append(request)
        state = AdminState.ADMIN_STATE_DRAINING
        return pb.DrainResourceResponse(resource=a_resource(request.name, admin_state=state))

    async def EnableResource(self, request: Any, context: Any) -> Any:
        return pb.EnableResourceResponse(resource=a_resource(request.name))


@contextlib.asynccontextmanager
async def cli_lab() -> AsyncIterator[CliLab]:
    """Serve all of it on one free port until the block ends."""
    lab = CliLab()
    server = grpc.aio.server()
    pb_grpc.add_AllocateServiceServicer_to_server(lab, server)
    beats_grpc.add_HeartbeatServiceServicer_to_server(lab, server)
    health_pb2_grpc.add_HealthServicer_to_server(lab.readiness, server)
    lab.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield lab
    finally:
        await server.stop(0)


class CliLabInThread(LabInThread):
    """The same on an event loop of its own."""

    lab: CliLab

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    async def _main(self) -> None:
        async with cli_lab() as self.lab:
            self._up.set()
            await self._stop.wait()
