import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap

import pytest

from support.grpc_server import serving

SERVICE = textwrap.dedent(
    """
    import asyncio, gc, os, sys, uvloop
    from dataclasses import dataclass
    from hwprovisioner.serving import *

    @dataclass(frozen=True)
    class Settings:
        serving: ServingSettings
        port: int

        @classmethod
        def read(cls, env):
            port = env.integer("HWP_HEARTBEAT_PORT", "port", default=0, low=0, high=65535)
            return cls(ServingSettings.read(env), port)

    async def main(settings, stopping):
        readiness = Readiness([], [STARTED])
        server = build_server([], readiness)
        port = bind(server, settings.serving.bind, settings.port, setting="HWP_HEARTBEAT_PORT")

        async def loop():
            print(port, flush=True)
            if "garbage" in sys.argv:
                looked_at, together = len(gc.get_objects()), gc.get_threshold()[0]
                print(gc.get_freeze_count(), looked_at, together, flush=True)
            if "die" in sys.argv:
                raise RuntimeError("the loop is tired")
            try:
                await asyncio.Event().wait()
            finally:
                print("loop cancelled", flush=True)
                if "hang" in sys.argv:
                    await asyncio.Event().wait()

        await serve(server, readiness, stopping, loops={"tired": loop}, grace_ms=1000)
        print("closed", flush=True)

    loop = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}[os.environ["LOOP"]]
    sys.exit(run_service("svc", "A service.", Settings, main, loop=loop, arguments=sys.argv[2:]))
    """
)


def start(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HWP_", "REDIS"))
    }
    return subprocess.Popen(
        [sys.executable, "-c", SERVICE, *(arguments or ("live",))],
        env={**environment, "LOOP": "asyncio", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(which: signal.Signals, loop: str) -> None:
    with start(LOOP=loop) as process:
        assert int(line_of(process)) > 0
        process.send_signal(which)
        output, errors = process.communicate()
    assert output.splitlines() == ["loop cancelled", "closed"]
    assert f"stopping on {which.name}" in errors
    assert "Traceback" not in errors
    assert process.returncode == 0


def test_a_second_signal_ends_it_at_once(loop: str) -> None:
    with start("hang", LOOP=loop) as process:
        line_of(process)
        process.send_signal(signal.SIGTERM)
        assert line_of(process) == "loop cancelled"
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert process.returncode == -signal.SIGINT


def test_a_loop_that_dies_takes_the_process_down_and_says_why(loop: str) -> None:
    with start("die", LOOP=loop) as process:
        _, errors = process.communicate()
    assert process.returncode == 1
    assert "the loop is tired" in errors


def test_what_it_began_with_is_left_alone_by_the_garbage_collector() -> None:
    with start("garbage") as process:
        line_of(process)
        left_alone, looked_at, together = map(int, line_of(process).split())
        process.terminate()
        process.communicate()
    assert looked_at < left_alone / 10
    assert together > 10_000


def test_a_taken_port_is_one_clear_line(loop: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start(HWP_HEARTBEAT_PORT=str(port), LOOP=loop) as process:
            _, errors = process.communicate()
    assert process.returncode == 78
    assert f"cannot listen on 127.0.0.1:{port}" in errors
    assert "Traceback" not in errors


def test_wrong_settings_are_all_reported() -> None:
    with start(HWP_HEARTBEAT_PORT="x", HWP_LOG_FORMT="json") as process:
        _, errors = process.communicate()
    assert process.returncode == 78
    assert errors.splitlines() == [
        "svc: HWP_HEARTBEAT_PORT=x: is not a whole number from 0 to 65535",
        "svc: HWP_LOG_FORMT: there is no such setting; did you mean HWP_LOG_FORMAT?",
        "svc: `svc --help` lists all settings",
    ]


def test_help_lists_the_settings() -> None:
    with start("live", "--help") as process:
        output, _ = process.communicate()
    assert process.returncode == 0
    assert "HWP_BIND" in output
    assert "(default: 127.0.0.1)" in output


async def test_a_loop_that_returns_is_an_error_too() -> None:
    enough = asyncio.Event()

    async def short() -> None:
        await enough.wait()

    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="'short' ended")):
        async with serving(loops={"short": short}) as running:
            enough.set()
            await running.stopping.wait()


async def test_open_calls_may_end_by_themselves_when_it_stops() -> None:
    cancelled = asyncio.Event()

    async def loop() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(loops={"loop": loop}) as running:
        assert not cancelled.is_set()
        running.stopping.set()
        await cancelled.wait()
        assert not running.readiness.ready
