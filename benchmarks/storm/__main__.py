"""``python -m benchmarks.storm``: everybody loses Allocate at once, and comes back.

Managers and clients, each with a connection of its own, hold or wait for machines. Every Allocate
is killed and started again. How long is it, from the moment in which all listen again, until each
of them has heard from one, and has anything ended that should not have?

The load is made by a process on the same machine, which takes some of it from the service.
"""

import argparse
import os
import random
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.frame.machine import Load, load_between, sample
from benchmarks.frame.stage import RedisServer, Stage, listening
from benchmarks.measuring import Ratio

_LIMIT_S = 10.0


def main() -> int:
    """Return 0 if all were back in time and nothing had ended."""
    parser = argparse.ArgumentParser(prog="benchmarks.storm", description=__doc__)
    parser.add_argument("--managers", type=int, default=1_000)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--replicas", type=int, default=1, help="so many Allocates of one lab")
    chosen = parser.parse_args()
    # Each connection is a file on either side.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ports = [_free_port() for _ in range(chosen.replicas)]
    with Stage() as stage:
        redis = stage.redis()
        first = [_start(stage, redis, "before", port) for port in ports]
        _wait_for(ports, first)
        numbers = chosen.managers, chosen.clients, *ports
        load = stage.talker("load", "benchmarks.storm.load", *map(str, numbers))
        begin_s = time.monotonic()
        load.ask("begin")
        print(f"all had begun after {time.monotonic() - begin_s:.1f} s", flush=True)
        for each in first:
            each.kill()
            each.wait()
        second = [_start(stage, redis, "after", port) for port in ports]
        _wait_for(ports, second)
        before = sample()
        said = load.ask("back")
        used = load_between(before, sample(), os.getpid(), stage.named)
    back_s = [heard_s - before.at_s for heard_s in said["heard_s"]]
    peers = chosen.managers + chosen.clients
    print(*_told(back_s, used, peers, said), sep="\n")
    ratios = [
        Ratio("the last one back, in 10 s", back_s[-1] / _LIMIT_S, at_most=1),
        Ratio("peers that did not come back", peers - len(back_s), at_most=0),
        Ratio("allocations that ended", len(said["ended"]), at_most=0),
    ]
    print(*ratios, sep="\n")
    return 0 if all(ratio.holds for ratio in ratios) else 1


def _told(
    back_s: Sequence[float], used: Load, peers: int, said: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what was measured, a line each."""
    half_s, most_s = back_s[len(back_s) // 2], back_s[len(back_s) * 99 // 100]
    yield f"back after {half_s:.1f} s: half, {most_s:.1f} s: 99 %, {back_s[-1]:.1f} s: all"
    for name, cores in used.shares.items():
        if spent_s := cores * used.seconds:
            yield f"{spent_s:6.2f} s of a processor, {spent_s / peers * 1e3:.3f} ms a peer: {name}"
    if used.disturbed:
        yield f"DISTURBED: others used {used.foreign:.2f} processors meanwhile"
    for trouble, times in said["troubles"]:
        yield f"{times:>6} times: {trouble}"
    yield from said["ended"][:5]


def _start(stage: Stage, redis: RedisServer, name: str, port: int) -> "subprocess.Popen[bytes]":
    """Begin to start an Allocate."""
    environment = {
        "HWP_ALLOCATE_PORT": str(port),
        "HWP_REDIS_URL": redis.unix_url,
        "HWP_LOG_LEVEL": "error",
    }
    return stage.start(
        f"allocate {port} {name}", ["hwp-allocate"], ready=lambda: True, environment=environment
    )


def _wait_for(ports: Sequence[int], processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Wait until all listen."""
    for port, process in zip(ports, processes, strict=True):
        is_listening = listening(port)
        while not is_listening():
            if process.poll() is not None:
                raise RuntimeError(f"Allocate at port {port} has ended with {process.returncode}")
            time.sleep(0.02)


def _free_port() -> int:
    """Return a port that the system gives to no connection by itself.

    Else one of ten thousand who come again while nobody listens would find itself there.
    """
    while True:
        with socket.socket() as probe:
            port = random.randrange(20_000, 30_000)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


if __name__ == "__main__":
    sys.exit(main())
