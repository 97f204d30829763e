"""``python -m benchmarks.storm``: everybody loses Allocate at once, and comes back.

Managers and clients, each with a connection of its own, hold or wait for machines. Allocate is
killed and started again. How long is it, from the moment in which it listens again, until each of
them has heard from it, and has anything ended that should not have?

The load is made by processes on the same machine, which take as much of it as the service does.
"""

import argparse
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import Ratio

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.redis_server import free_port, running

LIMIT_S = 10.0
_PROCESSES = 4


def main() -> int:
    """Return 0 if all were back in time and nothing had ended."""
    parser = argparse.ArgumentParser(prog="benchmarks.storm", description=__doc__)
    parser.add_argument("--managers", type=int, default=1_000)
    parser.add_argument("--clients", type=int, default=10_000)
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with running() as redis, contextlib.ExitStack() as stack:
        port = free_port()
        first = stack.enter_context(_allocate(redis.unix_url, port))
        sizes = chosen.managers, chosen.clients
        load = [stack.enter_context(_load(n, port, *sizes)) for n in range(_PROCESSES)]
        began = time.time()
        before = _tell(load, "begin")
        print(f"all had begun after {time.time() - began:.1f} s", flush=True)
        first.kill()
        first.wait()
        service = stack.enter_context(_allocate(redis.unix_url, port))
        listens = time.time()
        answers = _tell(load, "back")
        worked_s = _worked_s(service.pid)
    heard = sorted(at - listens for answer in answers for at in answer["heard"])
    ended = [why for answer in answers for why in answer["ended"]]
    half, most = heard[len(heard) // 2], heard[len(heard) * 99 // 100]
    print(f"half were back after {half:.1f} s, 99 % after {most:.1f} s")
    pairs = zip(before, answers, strict=True)
    of_load_s = sum(after["worked_s"] - earlier["worked_s"] for earlier, after in pairs)
    print(f"processor time: Allocate {worked_s:.1f} s (with its start), load {of_load_s:.1f} s")
    print(*ended[:5], sep="\n", end="\n" if ended else "")
    ratios = [
        Ratio("the last one back, in 10 s", heard[-1] / LIMIT_S, at_most=1),
        Ratio("allocations that ended", len(ended), at_most=0),
    ]
    print(*ratios, sep="\n")
    return 0 if all(ratio.holds for ratio in ratios) else 1


@contextlib.contextmanager
def _allocate(url: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run Allocate until the block ends; it listens when the block begins."""
    told = {"HWP_REDIS_URL": url, "HWP_ALLOCATE_PORT": str(port), "HWP_LOG_LEVEL": "error"}
    with subprocess.Popen(
        [sys.executable, "-m", "hwprovisioner.allocate"], env={**os.environ, **told}
    ) as process:
        try:
            while not _is_listening(port):
                if process.poll() is not None:
                    raise RuntimeError("Allocate does not start")
                time.sleep(0.02)
            yield process
        finally:
            process.terminate()


def _worked_s(pid: int) -> float:
    """Return the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _load(number: int, port: int, managers: int, clients: int) -> Iterator["subprocess.Popen[str]"]:
    mine = [str(count // _PROCESSES) for count in (managers, clients)]
    command = [sys.executable, "-m", "benchmarks.storm.load", str(number), f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*command, *mine], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _tell(load: Sequence["subprocess.Popen[str]"], word: str) -> list[dict[str, Any]]:
    for process in load:
        assert process.stdin is not None
        print(word, file=process.stdin, flush=True)
    answers = []
    for process in load:
        assert process.stdout is not None
        answers.append(json.loads(process.stdout.readline()))
    return answers


if __name__ == "__main__":
    sys.exit(main())
