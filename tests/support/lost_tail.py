"""A Redis that loses the last of what it has acknowledged, at a moment that a test chooses."""

from collections.abc import Iterator

from support.redis_server import RedisServer


def cut_after(server: RedisServer, event: str, nth: int = 1) -> None:
    """Take from a `durable` server that is not running what came after the nth such change.

    With 0, without the first one, too.
    """
    file = server.append_only_file()
    data = file.read_bytes()
    changes = list(_changes(data))
    at = [index for index, (name, _) in enumerate(changes) if name == event]
    assert len(at) >= max(nth, 1), f"{event} {nth} is not in {[name for name, _ in changes]}"
    _, end = changes[at[nth - 1] if nth else at[0] - 1]
    file.write_bytes(data[:end])


def _changes(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield the event of each change of a lab, and where all of it has been written."""
    event = ""
    for words, end in commands(data):
        if words[0].upper() == b"XADD" and words[1].endswith(b":log"):
            event = words[words.index(b"e") + 1].decode()
        # A script is written as one transaction.
        elif words[0].upper() == b"EXEC" and event:
            yield event, end
            event = ""


def commands(data: bytes) -> Iterator[tuple[list[bytes], int]]:
    """Yield each command of an append-only file, and where it ends."""
    at = 0
    while at < len(data):
        count, at = _number(data, at)
        words = []
        for _ in range(count):
            size, at = _number(data, at)
            words.append(data[at : at + size])
            at += size + 2
        yield words, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a line such as ``*3`` or ``$5``."""
    end = data.index(b"\r\n", at)
    return int(data[at + 1 : end]), end + 2
