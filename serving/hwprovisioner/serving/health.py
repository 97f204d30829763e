"""grpc.health.v1 for `grpc.aio`, and what decides about it.

grpcio-health-checking has such a servicer only in a private module; there, the first of several
watchers of a service to leave takes the news away from the others, and an open watch holds up the
server's stop.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

_log = logging.getLogger(__name__)

SERVICE_NAME = "grpc.health.v1.Health"


class Readiness(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Says SERVING for the server ("") and each of its services while all conditions hold.

    Conditions are named by whoever reports on them, such as ``started`` (the life cycle's own) or
    ``redis``.

    Args:
        service_names: the services that can be asked for, besides "".
        conditions: what must be reported to hold before it says SERVING.
    """

    def __init__(self, service_names: Iterable[str], conditions: Iterable[str] = ()) -> None:
        self._names = frozenset({"", *service_names})
        self._holds = dict.fromkeys(conditions, False)
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def ready(self) -> bool:
        """Whether it says SERVING."""
        return not self._closed and all(self._holds.values())

    @property
    def missing(self) -> tuple[str, ...]:
        """The conditions that do not hold."""
        return tuple(name for name, holds in self._holds.items() if not holds)

    def report(self, condition: str, *, holds: bool) -> None:
        """Note whether a condition holds from now on, and tell watchers."""
        before = self.ready
        self._holds[condition] = holds
        if self.ready == before:
            return
        if self.ready:
            _log.info("serving")
        elif not self._closed:
            _log.warning("not serving: %s", ", ".join(self.missing))
        self._wake()

    async def changes(self) -> AsyncIterator[bool]:
        """Give whether it says SERVING, now and after each change."""
        while True:
            changed = self._changed
            yield self.ready
            await changed.wait()

    def close(self) -> None:
        """Say NOT_SERVING for ever, and end all watches after telling them."""
        self._closed = True
        self._wake()

    async def Check(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> health_pb2.HealthCheckResponse:
        """Say whether a service is served; NOT_FOUND if there is none of that name."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r} here")
        return health_pb2.HealthCheckResponse(status=self._status_of(request.service))

    async def Watch(
        self,
        request: health_pb2.HealthCheckRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> None:
        """Say whether a service is served, now and at each change, until the server stops."""
        told = None
        while True:
            changed = self._changed
            if (status := self._status_of(request.service)) != told:
                await context.write(health_pb2.HealthCheckResponse(status=status))
                told = status
            if self._closed:
                return
            await changed.wait()

    def _status_of(self, service: str) -> int:
        statuses = health_pb2.HealthCheckResponse
        if service not in self._names:
            status: int = statuses.SERVICE_UNKNOWN
        else:
            status = statuses.SERVING if self.ready else statuses.NOT_SERVING
        return status

    def _wake(self) -> None:
        # Whoever waits holds the old event; the next change is on the new one.
        self._changed.set()
        self._changed = asyncio.Event()
