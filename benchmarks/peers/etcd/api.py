"""etcd's messages and methods. Built from `etcd.proto` when it is imported: needs grpcio-tools."""

from typing import Any

import grpc

pb: Any = grpc.protos("benchmarks/peers/etcd/etcd.proto")

GRANT = "/etcdserverpb.Lease/LeaseGrant"
KEEP_ALIVE = "/etcdserverpb.Lease/LeaseKeepAlive"
"""A stream both ways; used for one message it is as good as a unary call."""
LEASES = "/etcdserverpb.Lease/LeaseLeases"
PUT = "/etcdserverpb.KV/Put"
TXN = "/etcdserverpb.KV/Txn"
WATCH = "/etcdserverpb.Watch/Watch"


def method(channel: Any, path: str, answer: Any) -> Any:  # noqa: ANN401  # sync or not
    """Return a unary method of a channel."""
    return channel.unary_unary(
        path,
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
