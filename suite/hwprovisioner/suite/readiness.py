"""Whether a service serves, asked by grpc.health."""

from collections.abc import Awaitable, Callable

ASK_LIMIT_S = 2.0
_OPTIONS = (
    # Asked again and again while the service starts; gRPC would wait a second after a refusal.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.enable_http_proxy", 0),
)


def serving_at(address: str) -> Callable[[], Awaitable[str]]:
    """Return a check of the service at an address: empty if it serves, else why not."""

    async def missing() -> str:
        import grpc
        from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

        async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=ASK_LIMIT_S)
            except grpc.aio.AioRpcError as error:
                return f"{address} does not answer yet ({error.code().name})"
        statuses = health_pb2.HealthCheckResponse
        name: str = statuses.ServingStatus.Name(answer.status)
        return "" if answer.status == statuses.SERVING else f"{address} says {name}"

    return missing
