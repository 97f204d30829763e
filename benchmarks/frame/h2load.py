"""Load by h2load, with a prepared body: a fifth of the processor time of a Python client."""

import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from benchmarks.frame.stage import Stage

NAME = "h2load"


@dataclass(frozen=True)
class Answered:
    """What came of a run."""

    per_second: float
    answers: int
    in_flight: int
    """At the end so many may have been dropped, which the server has seen all the same."""


def body(folder: Path, name: str, message: Message) -> Path:
    """Write a request as gRPC frames it."""
    packed = message.SerializeToString()
    file = folder / f"{name}.body"
    file.write_bytes(struct.pack(">BI", 0, len(packed)) + packed)
    return file


def run(
    stage: Stage,
    port: int,
    path: str,
    request: Path,
    *,
    in_flight: int,
    seconds: float,
    connections: int = 1,
) -> Answered:
    """Make unary calls for some time; each must be answered.

    Args:
        stage: on which it goes by the name h2load.
        port: of loopback.
        path: of the method.
        request: its body.
        in_flight: calls at a time, over all connections.
        seconds: how long.
        connections: how many.
    """
    each = max(1, in_flight // connections)
    command = [
        *("h2load", "-c", str(connections), "-m", str(each), "-D", f"{seconds:g}"),
        *("-d", str(request), "-H", "content-type: application/grpc", "-H", "te: trailers"),
        f"http://127.0.0.1:{port}{path}",
    ]
    with stage.spending(NAME, load=True):
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return answered(said, seconds, each * connections)


def answered(said: str, seconds: float, in_flight: int) -> Answered:
    """Read what h2load says at its end.

    Raises:
        RuntimeError: a call failed, or it said something else.
    """
    counts = re.search(r"requests: \d+ total.* (\d+) succeeded, (\d+) failed", said)
    statuses = re.search(r"status codes: (\d+) 2xx", said)
    if counts is None or statuses is None or counts[2] != "0":
        raise RuntimeError(f"h2load: {said}")
    return Answered(int(counts[1]) / seconds, int(counts[1]), in_flight)
