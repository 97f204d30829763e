"""Connections and requestors as they are stored, and back.

Resources are reached as they were before, and people ask again: protobuf's JSON, which is slow, is
not made and read for each allocation.
"""

import functools
import json
from collections.abc import Mapping

from google.protobuf import json_format

from hwprovisioner.v1 import allocation_pb2, resource_pb2


def connection_to_json(connection: resource_pb2.Connection) -> str:
    """Return a connection as it is stored."""
    return _connection_text(connection.SerializeToString())


@functools.lru_cache(maxsize=1_000)
def connection_message(text: str) -> resource_pb2.Connection:
    """Return a stored connection as message; not to be changed."""
    return json_format.Parse(text, resource_pb2.Connection(), ignore_unknown_fields=True)


def requestor_to_json(requestor: allocation_pb2.Requestor) -> str:
    """Return a requestor as it is stored."""
    return _requestor_text(requestor.SerializeToString())


@functools.lru_cache(maxsize=10_000)
def requestor_message(text: str) -> allocation_pb2.Requestor:
    """Return a stored requestor as message; not to be changed."""
    # All of its fields are texts; `json_format.Parse` takes ten times as long.
    found = json.loads(text or "{}")
    return allocation_pb2.Requestor(
        **{_REQUESTOR[name]: value for name, value in found.items() if name in _REQUESTOR}
    )


@functools.lru_cache(maxsize=1_000)
def _connection_text(data: bytes) -> str:
    return json_format.MessageToJson(resource_pb2.Connection.FromString(data), indent=None)


@functools.lru_cache(maxsize=1_000)
def _requestor_text(data: bytes) -> str:
    return json_format.MessageToJson(allocation_pb2.Requestor.FromString(data), indent=None)


_REQUESTOR: Mapping[str, str] = {
    field.json_name: field.name for field in allocation_pb2.Requestor.DESCRIPTOR.fields
}
"""The names of a requestor's fields by those that are stored."""
