"""Stacks as py-spy samples them, and what they say."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

Stack = tuple[str, ...]
"""From the outermost call to the innermost."""

_FRAME = re.compile(r"^(?P<name>.*) \((?P<file>.*?)(:\d+)?\)$")
_CALLS, _GRPC = "system calls", "gRPC (C)"
OURS = ("state/", "serving/", "allocate/", "heartbeat/", "resourcemanager/", "client/")
"""Where modules of ours are."""
_WAITING = ("uv__io_poll (", "EpollSelector.select (")
_LIBRARIES = {
    _GRPC: ("cygrpc", ".pyx"),
    "uvloop (C)": ("loop.c", "loop-watcher.c", "stream.c", "linux.c", "core.c", "epoll", "libuv"),
    "hiredis (C)": ("hiredis", "pack.c", "read.c", "reader.c", "sds.c"),
    "protobuf (C)": ("_message", "upb", "google"),
    _CALLS: ("libc.so", "libpthread", "libm.so", "vdso"),
}
_OUTER = (
    *("<module>", "main (", "_run (resourcemanager/__main__", "run_service (", "run (serving"),
    *("Runner.run", "run (asyncio"),
)
"""Every stack begins with these: they say nothing."""


def parse(raw: str) -> dict[Stack, int]:
    """Read stacks with how often each was sampled.

    Native frames become their library's, and those of the interpreter go: what they do is done for
    the Python code that called them.
    """
    found: Counter[Stack] = Counter()
    for line in raw.splitlines():
        said, _, count = line.rpartition(" ")
        frames = said.split(";")
        if not is_waiting(frames):
            found[_merged([name for frame in frames if (name := named(frame))])] += int(count)
    return dict(found)


def is_waiting(frames: Sequence[str]) -> bool:
    """Return whether a stack is that of an event loop with nothing to do, or of a poller's thread.

    Whether that one works or waits cannot be told from its stack.
    """
    if any(frame.startswith("Thread._bootstrap ") for frame in frames):
        return any(named(frame) == _GRPC for frame in frames)
    place = next((n for n, frame in enumerate(frames) if frame.startswith(_WAITING)), None)
    return place is not None and all(named(frame) == _CALLS for frame in frames[place + 1 :])


def named(frame: str) -> str:
    """Return how a frame is told; empty if it is not."""
    parts = _FRAME.match(frame)
    if parts is None or frame.startswith(_OUTER):
        return ""
    name, file = parts["name"], parts["file"]
    if file.endswith(".py") or file == "<string>":
        return f"{name.replace('.<locals>', '')} ({file.removesuffix('.py')})"
    for library, signs in _LIBRARIES.items():
        if any(sign in file for sign in signs):
            return library
    return ""


def _merged(stack: Sequence[str]) -> Stack:
    """Leave out the start of the program, and what only repeats the frame before."""
    first = 1 if stack[:1] == [_CALLS] else 0
    rest = stack[first:]
    return tuple(name for place, name in enumerate(rest) if not place or rest[place - 1] != name)


def own(stacks: Mapping[Stack, int]) -> dict[str, float]:
    """Return the share of the samples in which a frame itself was at work, the most first."""
    return _shares(stacks, lambda stack: stack[-1:])


def within(stacks: Mapping[Stack, int]) -> dict[str, float]:
    """Return the share of the samples in which a frame or what it called was at work."""
    return _shares(stacks, set)


def by_part(stacks: Mapping[Stack, int]) -> dict[str, float]:
    """Return the share of the samples that each part has caused, the most first.

    A part is the module of ours that called last; what none has called is gRPC's or the loop's.
    """
    return _shares(stacks, lambda stack: (_part(stack),))


def _part(stack: Stack) -> str:
    for frame in reversed(stack):
        file = frame.rpartition(" (")[2].removesuffix(")")
        if file.startswith(OURS):
            return file
    return "gRPC by itself" if _GRPC in stack else "the event loop by itself"


def _shares(
    stacks: Mapping[Stack, int], names: Callable[[Stack], Iterable[str]]
) -> dict[str, float]:
    total = sum(stacks.values()) or 1
    found: Counter[str] = Counter()
    for stack, count in stacks.items():
        for name in names(stack):
            found[name] += count
    return {name: count / total for name, count in found.most_common()}
