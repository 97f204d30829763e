"""Driver `exec` with real scripts."""

import asyncio
import json
import os
import socket
import stat
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import (
    Config,
    ConfigError,
    Connection,
    Driver,
    DriverError,
    Facts,
    Gpu,
    Hold,
    OperatingSystem,
    Resource,
    Share,
    calls,
    parse_config,
)
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import Power, Traits
from support.eventually import eventually
from support.manager import manager
from support.scripted_lab import scripted_lab

HOLD = Hold("h1", "relay", 7, Share(2, 1024, (0,)), "a1", "edge", "eve", {"cpus": "2"})

Make = Callable[..., Driver]


def config(command: object, options: str = "") -> Config:
    return parse_config(f"""
resources:
  static:
    relay:
      driver: exec
      kind: edge
      labels: [rack=a1]
      access: {{host: 10.0.0.9}}
      options: {{command: {json.dumps(command)}, parameters: {{outlet: 07}} {options}}}
""")


@pytest.fixture
def script(tmp_path: Path) -> Make:
    def make(body: str, options: str = "", shell: str = "/bin/sh") -> Driver:
        path = tmp_path / "script"
        path.write_text(f"#!{shell}\n{textwrap.dedent(body)}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        resource = config(str(path), options).resources["relay"]
        return load_driver("exec")(resource)

    return make


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


async def test_a_script_that_never_reads_its_input_is_no_trouble(tmp_path: Path) -> None:
    whole = {"labels": ["x" * 1000] * 500}
    driver = load_driver("exec")(config("/bin/true").resources["relay"])
    await calls.clean(driver, Hold("h", "relay", 1, demand=whole), lambda line: None)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_at_the_time_limit_the_whole_process_group_is_killed(
    script: Make, tmp_path: Path
) -> None:
    driver = script(
        f"""
        trap '' TERM INT
        sleep 1000 & echo $! > {tmp_path}/child.new; mv {tmp_path}/child.new {tmp_path}/child
        echo $$ > {tmp_path}/parent
        wait
        """,
        options=", timeout: 1s",
    )
    with pytest.raises(DriverError, match="prepare: not done within 1 s"):
        await calls.prepare(driver, HOLD, lambda line: None)
    pids = [int((tmp_path / name).read_text()) for name in ("child", "parent")]
    await eventually(lambda: not any(is_running(pid) for pid in pids))


async def test_a_cancelled_script_is_killed(script: Make, tmp_path: Path) -> None:
    driver = script(f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/pid; exec sleep 1000")
    task = asyncio.create_task(calls.prepare(driver, HOLD, lambda line: None))
    await eventually((tmp_path / "pid").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_running(int((tmp_path / "pid").read_text()))


async def test_what_a_script_leaves_running_on_purpose_stays(script: Make, tmp_path: Path) -> None:
    driver = script(f"""
        sleep 1000 & echo $! > {tmp_path}/pid
        echo '{{"connection": {{"protocol": "vm"}}}}'
    """)
    await calls.prepare(driver, HOLD, lambda line: None)
    pid = int((tmp_path / "pid").read_text())
    assert is_running(pid)
    os.kill(pid, 9)


async def test_no_descriptor_is_left_open(script: Make) -> None:
    driver = script("echo x >&2")
    await calls.check(driver)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await calls.check(driver)
    await eventually(lambda: len(os.listdir("/proc/self/fd")) <= before)


# Power, console, repair.


async def test_power_is_switched_by_the_script(script: Make, tmp_path: Path) -> None:
    driver = script(f"cat > {tmp_path}/question; echo switched >&2", ", supports: [power]")
    assert calls.traits(driver).has_power
    lines: list[str] = []
    await calls.power(driver, Power.CYCLE, HOLD, lines.append)
    question = json.loads((tmp_path / "question").read_text())
    assert (question["action"], question["power"]) == ("power", "cycle")
    assert question["hold"]["id"] == "h1"
    assert lines == ["switched"]


async def test_the_script_is_told_what_is_to_be_repaired(script: Make, tmp_path: Path) -> None:
    driver = script(f"cat > {tmp_path}/question", ", supports: [repair]")
    assert calls.traits(driver).has_repair
    await calls.repair(driver, "too hot", lambda line: None)
    question = json.loads((tmp_path / "question").read_text())
    assert (question["action"], question["trouble"]) == ("repair", "too hot")
    assert "hold" not in question


async def test_the_console_is_where_the_script_says(script: Make) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"login: " + await reader.readline())
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer = json.dumps({"console": {"address": "127.0.0.1", "port": port}})
    driver = script(f"echo '{answer}'", ", supports: [console]")
    assert calls.traits(driver).has_console
    async with server:
        reader, writer = await calls.console(driver, HOLD)
        writer.write(b"root\n")
        assert await reader.read() == b"login: root\n"
        writer.close()


async def test_a_console_that_does_not_answer_is_named(script: Make) -> None:
    # Bound, so that nobody else has it, and not listened to.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        answer = json.dumps({"console": {"address": "127.0.0.1", "port": port}})
        driver = script(f"echo '{answer}'", ", supports: [console]")
        words = f"the console at 127.0.0.1:{port} does not answer: Connection refused"
        with pytest.raises(DriverError, match=words):
            await calls.console(driver, HOLD)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("{}", "answered without a `console`"),
        ('{"console": {"address": "", "port": 0}}', "console.address: .*; console.port: "),
    ],
)
async def test_a_console_that_is_none_is_explained(script: Make, answer: str, words: str) -> None:
    driver = script(f"echo '{answer}'", ", supports: [console]")
    with pytest.raises(DriverError, match=words):
        await calls.console(driver, HOLD)


async def test_a_script_is_not_asked_for_what_it_does_not_support(
    script: Make, tmp_path: Path
) -> None:
    driver = script(f"touch {tmp_path}/asked")
    assert calls.traits(driver) == Traits()
    with pytest.raises(DriverError, match="no power control"):
        await calls.power(driver, Power.ON, HOLD, lambda line: None)
    with pytest.raises(DriverError, match="no console"):
        await calls.console(driver, HOLD)
    with pytest.raises(DriverError, match="knows no repair"):
        await calls.repair(driver, "too hot", lambda line: None)
    assert not (tmp_path / "asked").exists()


def test_a_word_that_is_nothing_to_support_is_explained() -> None:
    with pytest.raises(ConfigError, match="supports"):
        config("x", ", supports: [flying]")
