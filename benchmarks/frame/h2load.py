"""Load by h2load, with a prepared body: a fifth of the processor time of a Python client."""

import re
import struct
import subprocess
from collections.abc import Sequence
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


def body(folder: Path, name: str, messages: Sequence[Message]) -> Path:
    """Write a request as gRPC frames it: one message, or all that a stream carries."""
    file = folder / f"{name}.body"
    packed = [message.SerializeToString() for message in messages]
    file.write_bytes(b"".join(struct.pack(">BI", 0, len(each)) + each for each in packed))
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
    words = command(port, path, request, each, connections)
    with stage.spending(NAME, load=True):
        lasting = [*words, "-D", f"{round(seconds * 1000)}ms"]
        done = subprocess.run(lasting, capture_output=True, text=True, check=False)
    return answered(done.stdout + done.stderr, seconds, each * connections)


def command(
    port: int, path: str, request: Path, in_flight: int, connections: int = 1
) -> Sequence[str]:
    """Return its command line, but for how much (`-n`) or how long (`-D`)."""
    return (
        *("h2load", "-c", str(connections), "-m", str(in_flight), "-d", str(request)),
        *("-H", "content-type: application/grpc", "-H", "te: trailers"),
        f"http://127.0.0.1:{port}{path}",
    )


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
