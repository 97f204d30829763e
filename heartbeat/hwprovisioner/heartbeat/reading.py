"""From requests to beats: what is wrong with each."""

import re
from collections.abc import Iterable

from hwprovisioner.heartbeat.beats import Beat
from hwprovisioner.serving import Refused, Violation, bad_request
from hwprovisioner.v1 import heartbeat_service_pb2

#: Beats in one call: the client's timeout has to do for all of them.
MOST_BEATS = 1000

# Becomes part of a key, so nothing that means something there.
_ALLOCATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LONGEST_TOKEN = 256


def read(request: heartbeat_service_pb2.HeartbeatRequest) -> Beat:
    """Return the beat that is asked for.

    Raises:
        Refused: with each of the request's faults.
    """
    name, token = request.allocation_id, request.token
    if _ALLOCATION_ID.fullmatch(name) and 0 < len(token) <= _LONGEST_TOKEN:
        return Beat(name, token)
    raise bad_request(list(_faults(name, token)))


def read_batch(request: heartbeat_service_pb2.BatchHeartbeatRequest) -> list[Beat | Refused]:
    """Return the beats that are asked for, each of them or its refusal.

    Raises:
        Refused: there are none, or too many.
    """
    count = len(request.beats)
    if not 0 < count <= MOST_BEATS:
        said = f"has {count} beats; send 1 to {MOST_BEATS} in a call"
        raise bad_request([("beats", said)])
    return [_read_or_refuse(beat) for beat in request.beats]


def _read_or_refuse(request: heartbeat_service_pb2.HeartbeatRequest) -> Beat | Refused:
    try:
        return read(request)
    except Refused as refusal:
        return refusal


def _faults(name: str, token: str) -> Iterable[Violation]:
    if not name:
        yield "allocation_id", "is missing"
    elif not _ALLOCATION_ID.fullmatch(name):
        yield "allocation_id", "is not the id of an allocation"
    if not token:
        yield "token", "is missing: it came with the allocation's first update"
    elif len(token) > _LONGEST_TOKEN:
        yield "token", f"is longer than {_LONGEST_TOKEN} characters"
