"""`hwp` where it looks after a real lab: draining, quarantine, keeping."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.allocate.policy import Policy
from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.resource_pb2 import HEALTH_HEALTHY
from support.asking import asking, resource
from support.eventually import eventually
from support.fake_manager import Manager, machine, manager
from support.services import Running, allocate

HWP = (sys.executable, "-m", "hwprovisioner.client.cli")


class Lab:
    """A lab of one machine, and the command line."""

    def __init__(self, service: Running, agent: Manager, folder: Path) -> None:
        self.service = service
        self.agent = agent
        self._environ = {
            **{name: text for name, text in os.environ.items() if name != "HWP_TOKEN"},
            **{"ALLOCATE_API": service.target, "HEARTBEAT_API": service.target, "USER": "eve"},
            **{"LOGNAME": "eve", "XDG_STATE_HOME": str(folder), "COLUMNS": "400"},
        }

    async def hwp(self, *words: str, code: int = 0) -> str:
        """Run a command that ends with a code, and return what it says."""
        process = await asyncio.create_subprocess_exec(
            *(*HWP, *words),
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
        assert process.returncode == code, said
        return said.strip()

    async def state(self) -> str:
        return (await self.hwp("get", "resource", "a", "-o", "wide")).splitlines()[-1]


@pytest.fixture
async def lab(redis_url: str, tmp_path: Path) -> AsyncIterator[Lab]:
    policy = Policy(most_keep_ms=3_600_000)
    async with (
        allocate(redis_url, policy=policy) as service,
        manager(service.stub, "m", [machine("a")]) as agent,
    ):
        yield Lab(service, agent, tmp_path)


@contextlib.asynccontextmanager
async def holding(lab: Lab) -> AsyncIterator[Any]:
    async with asking(lab.service.stub) as holder:
        await holder.until("ready")
        yield holder


async def test_a_drain_says_until_when_and_undrain_takes_it_back(lab: Lab) -> None:
    async with holding(lab) as holder:
        said = await lab.hwp("drain", "a", "--reason", "new disk", "--deadline", "2h")
        assert said.startswith("a: draining until ")
        row = await lab.state()
        assert "draining: new disk (by eve)" in row
        assert "eve " in row
        shown = await lab.hwp("get", "allocation", holder.id)
        assert "is revoked at " in shown
        assert await lab.hwp("undrain", "a") == "a: in use"
        assert "is revoked" not in await lab.hwp("get", "allocation", holder.id)


async def test_maintenance_waits_for_nobody(lab: Lab) -> None:
    async with holding(lab) as holder:
        await lab.hwp("maintenance", "a", "--reason", "new disk")
        assert await holder.ended() == "REVOKED"
        await eventually(lambda: is_clean(lab))
    assert " maintenance " in await lab.state()


async def is_clean(lab: Lab) -> bool:
    return not (await resource(lab.service.stub, "a")).holds


async def test_a_deadline_that_is_none_is_wrong_usage(lab: Lab) -> None:
    for text in ("yesterday", "-2h", "2026-05-01", "0", "25:00"):
        words = ("--reason", "x", f"--deadline={text}")
        said = await lab.hwp("drain", "a", *words, code=ExitCode.USAGE)
        assert f"deadline: '{text}' is no moment; write a time such as 14:00" in said
    said = await lab.hwp(
        "drain", "a", "--reason", "x", "--deadline", "2020-01-01T00:00", code=ExitCode.USAGE
    )
    assert "deadline: is a time that is over: name one to come" in said


async def test_a_quarantine_is_lifted_once_the_manager_says_so(lab: Lab) -> None:
    said = await lab.hwp("quarantine", "a", "--reason", "smoke")
    assert said == "a: quarantined"
    assert await lab.hwp("undrain", "a") == "a: suspect"
    look = (await lab.agent.hear("look_after")).look
    await lab.agent.say(health=stream.HealthChange(resource="a", health=HEALTH_HEALTHY, look=look))

    async def is_free() -> bool:
        return (await resource(lab.service.stub, "a")).health == HEALTH_HEALTHY

    await eventually(is_free)
    assert " free " in await lab.state()


async def test_what_contradicts_the_file_is_counted_and_told(lab: Lab) -> None:
    spec = machine("a")
    await lab.agent.say(volunteer=stream.Volunteer(spec=spec, warnings=["cpus: 8, found 4"]))

    async def is_warned() -> bool:
        return bool((await resource(lab.service.stub, "a")).warnings)

    await eventually(is_warned)
    row = await lab.state()
    assert "free,1 warning " in row
    assert row.endswith("cpus: 8, found 4")


async def test_what_is_kept_outlives_a_release_until_it_is_now(lab: Lab) -> None:
    async with holding(lab) as holder:
        token = ("--token", holder.token)
        said = await lab.hwp("hold", holder.id, "--for", "30m", *token)
        assert said.startswith(f"{holder.id} is kept until ")
        assert "is kept until " in await lab.hwp("get", "allocation", holder.id)
        said = await lab.hwp("release", holder.id, *token)
        assert said.startswith(f"{holder.id} is kept until ")
        assert said.endswith("; --now ends it at once")
        assert await lab.hwp("release", "--now", holder.id, *token) == f"{holder.id} released"
        assert await holder.ended() == "RELEASED"


async def test_it_can_be_kept_no_longer_and_not_longer_than_the_policy_says(lab: Lab) -> None:
    async with holding(lab) as holder:
        token = ("--token", holder.token)
        said = await lab.hwp("hold", holder.id, "--for", "2h", *token, code=ExitCode.ERROR)
        assert "the lab's policy allows at most 1 h" in said
        await lab.hwp("hold", holder.id, "--for", "1h", *token)
        said = await lab.hwp("hold", holder.id, "--no-longer", *token)
        assert said == f"{holder.id} is kept no longer"
        await lab.hwp("hold", holder.id, *token, code=ExitCode.USAGE)
        await lab.hwp("hold", holder.id, "--for", "1h", code=ExitCode.NOT_ALLOWED)


async def test_who_is_no_operator_is_told_so(lab: Lab) -> None:
    words = ("run", "--tolerate-maintenance", "--", "true")
    said = await lab.hwp(*words, code=ExitCode.NOT_ALLOWED)
    assert "'eve' as one" in said
