"""A holder of a benchmark: asks, waits, and gives back."""

import time
from dataclasses import dataclass
from typing import Any

import grpc.aio

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.demand_pb2 import Demands, HostDemand

LEASE_S = 600
"""Nobody beats."""


def request(user: str = "") -> pb.AllocateRequest:
    """Return what asks for one machine, whichever."""
    made = pb.AllocateRequest(demands=Demands(hosts={"host": HostDemand(cpus="1")}))
    made.lease_ttl.FromSeconds(LEASE_S)
    made.requestor.user = user
    return made


@dataclass
class Asked:
    """An allocation, and when what happened to it; in s of `perf_counter`."""

    call: Any
    began: float
    granted: float = 0.0
    ready: float = 0.0
    allocation: str = ""
    token: str = ""
    revision: int = 0

    async def until_queued(self) -> None:
        """Wait until the lab knows of it."""
        self._hear(await self.call.read())

    async def until_ready(self) -> None:
        """Wait until the machine can be used.

        Raises:
            RuntimeError: the allocation has ended instead.
        """
        while not self.ready:
            self._hear(await self.call.read())

    def _hear(self, answer: Any) -> None:  # noqa: ANN401
        if answer is grpc.aio.EOF:
            raise RuntimeError("the lab has ended the call")
        now, update = time.perf_counter(), answer.update
        if answer.token:
            self.allocation, self.token = update.allocation.id, answer.token
        match update.WhichOneof("event"):
            case "preparing" if not self.granted:
                self.granted = now
            case "ready":
                self.ready, self.granted = now, self.granted or now
                self.revision = update.allocation.revision
            case "ended":
                raise RuntimeError(f"ended: {update.ended}")

    async def give_back(self, stub: Any) -> None:  # noqa: ANN401  # generated code has no type
        """Release it; the call ends by itself then."""
        given = pb.ReleaseAllocationRequest(allocation_id=self.allocation, token=self.token)
        await stub.ReleaseAllocation(given)
        self.call.cancel()


def ask(stub: Any, user: str = "") -> Asked:  # noqa: ANN401
    """Ask for one machine."""
    began = time.perf_counter()
    return Asked(stub.Allocate(request(user)), began)
