"""Making a `grpc.aio` server as every service of the suite has it."""

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection, reflection_pb2  # type: ignore[import-untyped]

from hwprovisioner.serving import health
from hwprovisioner.serving.interceptor import ErrorInterceptor

#: Above every limit of a field, so that an oversized one is refused by name (BAD_REQUEST) and not
#: by gRPC.
MAX_REQUEST_BYTES = 16 * 1024 * 1024

#: Opens of streams that may wait for the event loop. gRPC's own limit of about 1,000 refused 2,024
#: of 5,000.
_PENDING_LIMIT = 100_000

SERVER_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    # Dead peers are found after 30 s; clients may ping every 5 s, between calls too. C-core itself
    # ends connections on which pings come more often than every 5 minutes.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # Who connects and does not speak HTTP/2 is cut off.
    ("grpc.server_handshake_timeout_ms", 20_000),
    ("grpc.server.max_pending_requests", _PENDING_LIMIT),
    ("grpc.server.max_pending_requests_hard_limit", _PENDING_LIMIT),
)

_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"


class BindError(Exception):
    """A server cannot listen where it should; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Service:
    """A gRPC service to be served.

    Attributes:
        name: its full name, ``DESCRIPTOR.services_by_name[...].full_name``.
        add_to: adds its servicer to a server.
    """

    name: str
    add_to: Callable[[grpc.aio.Server], None]


def build_server(
    services: Sequence[Service], readiness: health.Readiness, *, reuse_port: bool = False
) -> grpc.aio.Server:
    """Return a server, not yet bound, with the services, health, and reflection v1alpha and v1.

    Args:
        services: what it is for.
        readiness: what it says about its health.
        reuse_port: let several processes listen on one port; otherwise the second is refused.
    """
    server = grpc.aio.server(
        interceptors=[ErrorInterceptor()],
        options=[("grpc.so_reuseport", int(reuse_port)), *SERVER_OPTIONS],
    )
    by_name = cast(grpc.aio.Server, _ByName(server))
    for service in services:
        service.add_to(by_name)
    health_pb2_grpc.add_HealthServicer_to_server(readiness, by_name)
    names = [*(service.name for service in services), health.SERVICE_NAME, reflection.SERVICE_NAME]
    _add_reflection(server, names)
    return server


class _ByName:
    """Adds methods to a server to be found by their names.

    Generated code registers them with gRPC besides, and then a `grpc.aio` server waits for the next
    call of each method by itself, and for all of them anew whenever one of them is called.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
        """Do nothing."""


def bind(
    server: grpc.aio.Server, host: str, port: int, *, setting: str, reuse_port: bool = False
) -> int:
    """Listen, and return the port: the given one, or the one the system chose for 0.

    Args:
        server: not yet started.
        host: an address or a name; ``0.0.0.0`` or ``::`` for all interfaces.
        port: 0 for any that is free.
        setting: the name of the setting that the port comes from, for the error's message.
        reuse_port: as the server was built.

    Raises:
        BindError: somebody else listens there, or there is no such address here.
    """
    _bound(host, port, setting, reuse_port=reuse_port).close()
    address = _address(host, port)
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise BindError(f"cannot listen on {address}: {error}") from error


def reserve(host: str, port: int, *, setting: str) -> socket.socket:
    """Keep a port for processes that share it: bound, so that it is known, but not listening.

    Args and errors are those of `bind`; who shares the port already is somebody else.
    """
    _bound(host, port, setting, reuse_port=False).close()
    return _bound(host, port, setting, reuse_port=True)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bound(host: str, port: int, setting: str, *, reuse_port: bool) -> socket.socket:
    """Bind a socket of our own: gRPC does not say why it cannot, and fills stderr."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        probe = socket.socket(family, kind, protocol)
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.bind(target)
        except BaseException:
            probe.close()
            raise
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                advice = (
                    f"is another one running? `ss -ltnp sport = :{port}` shows who listens there; "
                    f"set {setting} to another port, or to 0 for any that is free"
                )
            case errno.EACCES:
                advice = f"set {setting} to a port above 1023"
            case _:
                advice = "set HWP_BIND to an address of this machine, such as 127.0.0.1 or 0.0.0.0"
        where = _address(host, port)
        raise BindError(f"cannot listen on {where}: {error.strerror}; {advice}") from error
    return probe


def _add_reflection(server: grpc.aio.Server, names: Sequence[str]) -> None:
    """Serve reflection under both its names.

    grpcio has only v1alpha (grpc#38576), and `buf curl` asks for v1. Both versions have the same
    messages. v1 is not listed, as there is no descriptor of it.
    """
    method = grpc.stream_stream_rpc_method_handler(
        reflection.aio.ReflectionServicer(names).ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in (reflection.SERVICE_NAME, _REFLECTION_V1):
        handler = grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method})
        server.add_generic_rpc_handlers((handler,))
