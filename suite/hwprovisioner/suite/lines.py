"""The output of a child process, line by line, however long its lines are."""

import asyncio
import os
from collections.abc import Callable

#: A line that is longer is shown in pieces.
LONGEST_LINE_BYTES = 8192
_CHUNK_BYTES = 65536


async def follow_lines(pipe: int, heard: Callable[[str], None]) -> None:
    """Tell each line that comes out of a pipe until its other end is closed, then close it."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    rest = b""
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                heard(_text(line))
            while len(rest) > LONGEST_LINE_BYTES:
                heard(_text(rest[:LONGEST_LINE_BYTES]))
                rest = rest[LONGEST_LINE_BYTES:]
    finally:
        if rest:
            heard(_text(rest))
        transport.close()


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
