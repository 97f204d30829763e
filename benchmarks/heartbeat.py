"""What a beat costs, next to an empty unary call to the same server and loop, in the same run.

python benchmarks/heartbeat.py [--seconds 3] [--rounds 3] [--leases 10000] [--quiet-turns 8]

Load comes from h2load (Debian: nghttp2-client) with a prepared body. Redis writes each beat to its
append-only file and fsyncs. After each beat run, Redis' own count of leases extended must equal the
number of answers, or the run is void. Prints a table of ratios, medians of rounds that alternate;
absolute figures mean nothing on a shared machine.
"""

import argparse
import asyncio
import hashlib
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import grpc.aio

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hwprovisioner.heartbeat.beats import MOST_AT_ONCE, Beat, BeatWriter, Outcome
from hwprovisioner.heartbeat.gathering import QUIET_TURNS, Gatherer
from hwprovisioner.heartbeat.servicer import SERVICE_NAME, HeartbeatServicer
from hwprovisioner.serving import STARTED, Readiness, Service, bind, build_server, serve
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.v1 import heartbeat_service_pb2 as pb
from hwprovisioner.v1 import heartbeat_service_pb2_grpc as stubs
from support.redis_server import RedisServer, running

TOKEN = "bench"  # noqa: S105
EMPTY = "/bench.Empty/Call"
BEAT = f"/{SERVICE_NAME}/Heartbeat"
TTL_MS = 3_600_000


async def empty(request: pb.HeartbeatRequest, context: object) -> pb.HeartbeatResponse:
    return pb.HeartbeatResponse()


def add_empty(server: grpc.aio.Server) -> None:
    method = grpc.unary_unary_rpc_method_handler(
        empty, pb.HeartbeatRequest.FromString, pb.HeartbeatResponse.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Empty", {"Call": method}),)
    )


async def serve_both(url: str, quiet_turns: int) -> None:
    """Serve beats and empty calls; tell the port on stdout."""
    async with Link(url) as link:
        writer = BeatWriter(link, Keys())
        async with Gatherer[Beat, Outcome](
            writer.write, largest_batch=MOST_AT_ONCE, quiet_turns=quiet_turns
        ) as beats:
            servicer = HeartbeatServicer(beats.add, writer.write)
            services = [
                Service(
                    SERVICE_NAME,
                    lambda server: stubs.add_HeartbeatServiceServicer_to_server(servicer, server),
                ),
                Service("bench.Empty", add_empty),
            ]
            readiness = Readiness([], [STARTED])
            server = build_server(services, readiness)
            port = bind(server, "127.0.0.1", 0, setting="--")
            await link.wait_connected()
            print(port, flush=True)
            await serve(server, readiness, asyncio.Event())


async def fill(url: str, leases: int) -> None:
    """Write live leases, as submit and grant leave them."""
    keys = Keys()
    token_sha = hashlib.sha256(TOKEN.encode()).hexdigest()
    async with Link(url, timeout_ms=60_000) as link:
        seconds, _ = await link.call("TIME")
        now = int(seconds) * 1000
        for start in range(0, leases, 1000):
            calls = []
            for n in range(start, min(start + 1000, leases)):
                fields = ("state", "READY", "token_sha", token_sha, "ttl_ms", TTL_MS, "max_ms", 0)
                calls += [
                    link.call("HSET", keys.allocation(f"a{n}"), *fields),
                    link.call("SET", keys.alarm(f"a{n}"), "", "PX", TTL_MS),
                    link.call("ZADD", keys.deadlines, now + TTL_MS, f"lease:a{n}"),
                ]
            await asyncio.gather(*calls)


def load(port: int, path: str, body: Path, in_flight: int, seconds: int) -> tuple[float, int]:
    """Return calls a second, and how many were answered."""
    done = subprocess.run(
        [
            *("h2load", "-c", "1", "-m", str(in_flight), "-D", str(seconds), "-d", str(body)),
            *("-H", "content-type: application/grpc", "-H", "te: trailers"),
            f"http://127.0.0.1:{port}{path}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    counts = re.search(r"requests: \d+ total.* (\d+) succeeded, (\d+) failed", done)
    assert counts, done
    assert counts[2] == "0", done
    return int(counts[1]) / seconds, int(counts[1])


def extended(redis: RedisServer) -> int:
    """Return how often Redis has extended a lease so far."""
    reply = redis.command("INFO commandstats").decode()
    counts = re.search(r"cmdstat_zadd:calls=(\d+)", reply)
    return int(counts[1]) if counts else 0


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def measure(
    port: int, redis: RedisServer, body: Path, options: argparse.Namespace
) -> Iterator[tuple[str, str]]:
    for in_flight in (1, 128):
        rates: dict[str, list[float]] = {EMPTY: [], BEAT: []}
        busy = []
        for _ in range(options.rounds):
            for path, found in rates.items():
                before, cpu = extended(redis), cpu_seconds(redis.pid)
                rate, answers = load(port, path, body, in_flight, options.seconds)
                found.append(rate)
                if path == BEAT:
                    busy.append((cpu_seconds(redis.pid) - cpu) / options.seconds)
                    # At the end of the time h2load drops what is in flight.
                    written = extended(redis) - before
                    assert 0 <= written - answers <= in_flight, (written, answers)
        ratios = [beat / none for beat, none in zip(rates[BEAT], rates[EMPTY], strict=True)]
        spread = f"({min(ratios):.2f} to {max(ratios):.2f})"
        yield f"beat / empty, {in_flight} in flight", f"{statistics.median(ratios):.2f} {spread}"
        for path, name in ((EMPTY, "empty calls/s"), (BEAT, "beats/s")):
            yield f"  {name}", f"{statistics.median(rates[path]):.0f}"
        yield "  Redis busy while beats came", f"{statistics.median(busy):.0%} of a core"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leases", type=int, default=10_000)
    parser.add_argument("--volatile", action="store_true", help="without append-only file")
    parser.add_argument("--quiet-turns", type=int, default=QUIET_TURNS)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve_both(options.serve, options.quiet_turns))
        return 0
    if not shutil.which("h2load"):
        print("not measured: h2load is not there (Debian: apt-get install nghttp2-client)")
        return 0
    with running(durable=not options.volatile) as redis, tempfile.NamedTemporaryFile() as body:
        asyncio.run(fill(redis.unix_url, options.leases))
        message = pb.HeartbeatRequest(allocation_id="a0", token=TOKEN).SerializeToString()
        body.write(struct.pack(">BI", 0, len(message)) + message)
        body.flush()
        serving = [sys.executable, __file__, "--serve", redis.unix_url]
        serving += ["--quiet-turns", str(options.quiet_turns)]
        with subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                port = int(server.stdout.readline())
                load(port, EMPTY, Path(body.name), 128, 1)  # Warm up.
                for name, value in measure(port, redis, Path(body.name), options):
                    print(f"{name:<40}{value}", flush=True)
            finally:
                server.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
