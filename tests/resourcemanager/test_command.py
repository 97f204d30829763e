"""The command as a process of its own."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from hwprovisioner.v1 import resource_pb2
from support.eventually import eventually
from support.scripted_lab import ScriptedLab, scripted_lab

COMMAND = (sys.executable, "-m", "hwprovisioner.resourcemanager")


@pytest.fixture
async def lab() -> AsyncIterator[ScriptedLab]:
    async with scripted_lab() as lab:
        yield lab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    script = tmp_path / "script.sh"
    # A prepare waits for the file `go`, so that a test can stop the manager in the middle of it.
    script.write_text(f"""#!/bin/sh
question=$(cat)
case "$question" in *'"action": "prepare"'*)
    echo prepare >> {tmp_path}/calls
    while [ ! -e {tmp_path}/go ]; do read -r _ < {tmp_path}/wait; done;;
*'"action": "clean"'*) echo clean >> {tmp_path}/calls;;
esac
echo '{{"connection": {{"protocol": "x"}}}}'
""")
    script.chmod(0o755)
    os.mkfifo(tmp_path / "wait")
    (tmp_path / "resources.yml").write_text(f"""
resources:
  static:
    box: {{driver: exec, kind: edge, options: {{command: {script}}}}}
    here: {{driver: local}}
""")
    return tmp_path


def let_go(folder: Path) -> None:
    (folder / "go").touch()
    # Whoever waits reads from the pipe; opening it for both never blocks.
    pipe = os.open(folder / "wait", os.O_RDWR | os.O_NONBLOCK)
    os.write(pipe, b"\n" * 10)


def environment(folder: Path, lab: ScriptedLab | None = None, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HWP_")}
    return kept | {
        "ALLOCATE_API": lab.target if lab is not None else "127.0.0.1:1",
        "CONFIG_FILE": str(folder / "resources.yml"),
        "HWP_STATE_DIR": str(folder / "state"),
        "HWP_MANAGER_PORT": "0",
        "HWP_MANAGER_ID": "bench",
        **more,
    }


@contextlib.asynccontextmanager
async def running(environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, env=environ, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    """Read the log until a line with these words, and return it."""
    assert process.stderr is not None
    async with asyncio.timeout(20):
        async for line in process.stderr:
            if words in line.decode():
                return line.decode()
    raise AssertionError(f"ended without saying {words!r}")


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    async with asyncio.timeout(20):
        _, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, err.decode()


async def test_sigterm_withdraws_and_exits_soon(lab: ScriptedLab, folder: Path) -> None:
    async with running(environment(folder, lab)) as process:
        session = await lab.session()
        assert session.register.manager_id == "bench"
        await session.offer("h1", 1)
        await session.hear("accept", hold_id="h1")
        process.send_signal(signal.SIGTERM)
        await session.hear("withdraw", resource="here")
        status, err = await ended(process)
        assert status == 0, err
    async with running(environment(folder, lab)):
        again = await lab.session()
        [held] = again.register.holds
        assert held.hold.hold_id == "h1"
        let_go(folder)
        await again.hear("ready", hold_id="h1", fence=1)


async def test_kill_9_while_readying_up_and_while_held_loses_nothing(
    lab: ScriptedLab, folder: Path
) -> None:
    environ = environment(folder, lab)
    async with running(environ) as process:
        session = await lab.session()
        await session.offer("h1", 1)
        await eventually((folder / "calls").exists)
        process.kill()
        await ended(process)
    async with running(environ) as process:
        session = await lab.session()
        [held] = session.register.holds
        assert held.state == resource_pb2.HOLD_STATE_PREPARING
        let_go(folder)
        await session.hear("ready", hold_id="h1", fence=1)
        process.kill()
        await ended(process)
    async with running(environ):
        session = await lab.session()
        [held] = session.register.holds
        assert held.state == resource_pb2.HOLD_STATE_READY
        await session.hear("ready", hold_id="h1", fence=1)
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1", fence=2)
        await session.offer("h2", 2)
        assert "stale fence" in (await session.hear("decline", hold_id="h2")).reason
        await session.offer("h3", 3)
        await session.hear("ready", hold_id="h3")


async def test_two_on_one_journal_are_refused(lab: ScriptedLab, folder: Path) -> None:
    environ = environment(folder, lab)
    async with running(environ):
        await lab.session()
        async with running(environ) as second:
            status, err = await ended(second)
        assert status == 78
        assert "another resource manager is using it" in err


async def test_a_superseded_manager_ends_with_a_status_of_its_own(
    lab: ScriptedLab, folder: Path
) -> None:
    from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

    status = status_pb2.Status(code=10, message="newer")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="SUPERSEDED"))
    trailing = (("grpc-status-details-bin", status.SerializeToString()),)
    lab.refusal = (grpc.StatusCode.ABORTED, "newer", trailing)
    async with running(environment(folder, lab)) as process:
        code, err = await ended(process)
    assert code == 3
    assert "HWP_MANAGER_ID" in err
    assert "Traceback" not in err


async def test_health_follows_the_stream(lab: ScriptedLab, folder: Path) -> None:
    async with running(environment(folder, lab)) as process:
        port = (await said(process, "health on port")).partition("health on port ")[2].split(",")[0]
        await lab.session()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)

            async def status() -> int:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
                found: int = answer.status
                return found

            async def serving() -> bool:
                return bool(await status() == health_pb2.HealthCheckResponse.SERVING)

            async def not_serving() -> bool:
                return bool(await status() == health_pb2.HealthCheckResponse.NOT_SERVING)

            await eventually(serving)
            await lab.stop()
            await eventually(not_serving)
            await lab.start()
            await eventually(serving)


async def test_a_changed_file_changes_what_is_represented(lab: ScriptedLab, folder: Path) -> None:
    async with running(environment(folder, lab)) as process:
        session = await lab.session()
        text = (folder / "resources.yml").read_text().replace("here:", "there:")
        (folder / "resources.yml").write_text(text)
        process.send_signal(signal.SIGHUP)
        assert (await session.hear("withdraw", resource="here")).removed
        await eventually(lambda: "there" in str(session.heard))


def run(*words: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        env=environment(folder) | environ,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_a_bad_file_ends_the_start_with_all_its_problems(folder: Path) -> None:
    (folder / "resources.yml").write_text("resources: {static: {a: {driver: x, cpus: 1}}}")
    result = run(folder=folder)
    assert result.returncode == 78
    assert "resources.yml:1:34: resources.static.a.driver: no driver 'x'" in result.stderr
    assert "resources.yml:1:37: resources.static.a.cpus: unknown key" in result.stderr


def test_wrong_settings_are_reported_together(folder: Path) -> None:
    result = run(folder=folder, HWP_MANAGER_ID="No!", ALLOCATE_API="nonsense", HWP_JORNAL="x")
    assert result.returncode == 78
    for words in ("HWP_MANAGER_ID=No!", "ALLOCATE_API=nonsense", "did you mean HWP_JOURNAL"):
        assert words in result.stderr


def test_help_names_the_settings_with_their_defaults(folder: Path) -> None:
    result = run("--help", folder=folder)
    assert result.returncode == 0
    for words in ("ALLOCATE_API", "localhost:8080", "HWP_JOURNAL", "9080", "validate"):
        assert words in result.stdout


def test_validate_checks_a_file(folder: Path) -> None:
    good = run("validate", str(folder / "resources.yml"), folder=folder)
    assert (good.returncode, good.stderr) == (0, "")
    assert "2 resources, no problems" in good.stdout
    (folder / "bad.yml").write_text("resources: 7")
    bad = run("validate", str(folder / "bad.yml"), str(folder / "resources.yml"), folder=folder)
    assert bad.returncode == 1
    assert "bad.yml:1:12: resources: should be a mapping, is '7'" in bad.stderr


def test_schema_describes_the_file_and_each_drivers_options(folder: Path) -> None:
    result = run("schema", folder=folder)
    schema = json.loads(result.stdout)
    static = schema["$defs"]["StaticSection"]
    assert set(static["properties"]["driver"]["enum"]) >= {"local", "ssh", "exec"}
    options = {
        branch["if"]["properties"]["driver"]["const"]: branch["then"]["properties"]["options"]
        for branch in static["allOf"]
    }
    assert "command" in options["exec"]["properties"]
    assert set(options["ssh"]["properties"]) >= {"ready_up", "tear_down", "clean", "boot_id"}
    assert unresolved(schema, schema) == []


def unresolved(schema: dict[str, object], part: object) -> Sequence[str]:
    """Return the references that lead nowhere."""
    if isinstance(part, list):
        return [ref for item in part for ref in unresolved(schema, item)]
    if not isinstance(part, dict):
        return []
    found = [ref for item in part.values() for ref in unresolved(schema, item)]
    ref = part.get("$ref")
    definitions = schema["$defs"]
    assert isinstance(definitions, dict)
    if isinstance(ref, str) and ref.removeprefix("#/$defs/") not in definitions:
        found.append(ref)
    return found
