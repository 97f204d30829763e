"""Driver `exec` with real scripts: what they are asked, and what they answer."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import (
    Connection,
    DriverError,
    Facts,
    Gpu,
    OperatingSystem,
    Resource,
    calls,
    parse_config,
)
from hwprovisioner.resourcemanager.loading import load_driver
from support.exec_script import HOLD, Make, config
from support.manager import manager
from support.scripted_lab import scripted_lab


async def test_the_script_is_asked_in_json(script: Make, tmp_path: Path) -> None:
    driver = script(f"""
        cat > {tmp_path}/question
        echo '{{"connection": {{"protocol": "serial", "address": "ttyS0", "port": 3}}}}'
    """)
    connection = await calls.prepare(driver, HOLD, lambda line: None)
    assert connection == Connection("serial", "ttyS0", 3)
    question = json.loads((tmp_path / "question").read_text())
    assert question == {
        "action": "prepare",
        "resource": {
            "name": "relay",
            "mark": "",
            "kind": "edge-device",
            "labels": {"rack": "a1"},
            "access": {
                "host": "10.0.0.9",
                "user": "",
                "port": 0,
                "key_file": "",
                "host_key": "",
                "known_hosts": "",
                "ephemeral": False,
            },
        },
        "parameters": {"outlet": "07"},
        "hold": {
            "id": "h1",
            "resource": "relay",
            "fence": 7,
            "allocation_id": "a1",
            "host": "edge",
            "user": "eve",
            "ssh_public_key": "",
        },
        "share": {"cpus": 2, "memory_bytes": 1024, "gpus": [0]},
        "demand": {"cpus": "2"},
    }


async def test_stderr_lines_are_progress(script: Make) -> None:
    driver = script("""
        printf 'power on\\nbooting 10%%\\rbooting 90%%\\n\\nlast' >&2
        echo '{"connection": {"protocol": "x"}}'
    """)
    lines: list[str] = []
    await calls.prepare(driver, HOLD, lines.append)
    assert lines == ["power on", "booting 10%", "booting 90%", "last"]


async def test_a_silent_script_is_fine_but_for_prepare(script: Make) -> None:
    driver = script("exit 0")
    await calls.check(driver)
    await calls.tear_down(driver, HOLD, lambda line: None)
    await calls.clean(driver, HOLD, lambda line: None)
    assert await calls.describe(driver) == Facts()
    with pytest.raises(DriverError, match="answered without a `connection`"):
        await calls.prepare(driver, HOLD, lambda line: None)


async def test_a_script_describes_the_resource(script: Make) -> None:
    driver = script("""
        echo '{"cpus": 4, "memory_bytes": 1024, "gpus": [{"brand": "nvidia", "model": "orin"}],
               "os": {"family": "linux", "distro": "l4t", "version": "36.3"}}'
    """)
    os_ = OperatingSystem("linux", "l4t", "36.3")
    assert await calls.describe(driver) == Facts(4, 1024, (Gpu("nvidia", "orin"),), os_)


async def test_a_script_says_why_a_resource_is_not_well(script: Make) -> None:
    driver = script("""echo '{"healthy": false, "reason": "no answer on the console"}'""")
    with pytest.raises(DriverError, match="check: no answer on the console"):
        await calls.check(driver)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo 'relay 3 is stuck' >&2; exit 3", "ended with status 3: relay 3 is stuck"),
        ("exit 4", "ended with status 4"),
        ("kill -9 $$", "was killed by SIGKILL"),
        ("echo hello", "did not answer with JSON, but with: 'hello'"),
        ("echo '[1]'", "should answer with a JSON object"),
        ("echo '{\"connection\": 7}'", "connection: should be a mapping, is something else"),
        ("echo '{\"conection\": {}}'", "conection: unknown key; did you mean 'connection'?"),
        ('echo \'{"error": "outlet 7 is dead"}\'', "prepare: outlet 7 is dead"),
        ("head -c 2000000 /dev/zero", "answered with more than"),
        ("printf '\\377\\376'", "did not answer with JSON"),
        ("yes '[' | head -n 100000 | tr -d '\\n'", "did not answer with whole JSON"),
    ],
)
async def test_a_failure_is_told_in_the_scripts_own_words(
    script: Make, body: str, words: str
) -> None:
    with pytest.raises(DriverError) as caught:
        await calls.prepare(script(body), HOLD, lambda line: None)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        '{"connection": {"protocol": "ssh", "properties": {"password": "s3cr3t"}}',
        '["s3cr3t"]',
        '{"connection": {"protocol": "ssh", "properties": {"password": ["s3cr3t"]}}}',
        '{"connection": {"protocol": "ssh", "port": "s3cr3t"}}',
    ],
)
async def test_an_answer_that_is_none_is_not_quoted(script: Make, answer: str) -> None:
    with pytest.raises(DriverError) as caught:
        await calls.prepare(script(f"echo '{answer}'"), HOLD, lambda line: None)
    assert "answer" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


async def test_a_program_that_is_not_there_is_named() -> None:
    driver = load_driver("exec")(config("/no/such/program").resources["relay"])
    with pytest.raises(DriverError, match=r"/no/such/program .*cannot be started: No such file"):
        await calls.check(driver)


async def test_without_a_command_it_is_withdrawn_until_the_file_names_one(tmp_path: Path) -> None:
    def file(options: str) -> Mapping[str, Resource]:
        limits = "{cpu: 64, mem: 256GiB, instances: 10}"
        entry = f"{{driver: exec, kind: vm, limits: {limits}, options: {options}}}"
        return parse_config(f"resources: {{dynamic: {{hypervisor1: {entry}}}}}").resources

    reason = "options.command is not set: say which script does the work"
    async with (
        scripted_lab() as lab,
        manager(lab.target, tmp_path / "journal", None, file("{}")) as run,
    ):
        session = await lab.session()
        [spec] = session.register.inventory
        assert (spec.name, spec.cpus, spec.division.instances) == ("hypervisor1", 64, 10)
        withdraw = await session.hear("withdraw", resource="hypervisor1")
        assert (withdraw.reason, withdraw.removed) == (reason, False)
        await session.offer("h1", 1, "hypervisor1")
        assert (await session.hear("decline", hold_id="h1")).reason == reason
        assert "volunteer" not in session.events()
        run.agent.represent(file("{command: /bin/true}"))
        assert (await session.hear("volunteer")).spec.name == "hypervisor1"
