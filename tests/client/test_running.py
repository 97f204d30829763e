"""Commands on granted hosts."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwprovisioner.client import CommandFailed, CommandTimeout, Connection, WrongHost
from hwprovisioner.client.facts import read_host
from hwprovisioner.client.running import argv_for, execute
from hwprovisioner.v1 import allocation_pb2, resource_pb2
from support import sshd
from support.eventually import eventually
from support.processes import is_alive

LOCAL = Connection("local")


async def test_a_line_goes_to_the_shell_and_a_list_does_not() -> None:
    assert (await execute("h", LOCAL, "echo $((1 + 1))")).stdout == "2\n"
    assert (await execute("h", LOCAL, ["echo", "$((1 + 1))"])).stdout == "$((1 + 1))\n"


async def test_input_goes_in_and_output_comes_out_as_text() -> None:
    done = await execute("h", LOCAL, "cat; printf '\\377' >&2", stdin="grüß")
    assert (done.stdout, done.stderr, done.exit_code) == ("grüß", "\ufffd", 0)


async def test_a_failing_command_says_what_it_said() -> None:
    with pytest.raises(CommandFailed, match="no such board") as caught:
        await execute("h", LOCAL, "echo no such board >&2; exit 3")
    assert (caught.value.exit_code, caught.value.host) == (3, "h")
    assert (await execute("h", LOCAL, "exit 3", check=False)).exit_code == 3


async def test_a_program_that_is_not_there_is_a_failed_command_too() -> None:
    with pytest.raises(CommandFailed, match="cannot be started"):
        await execute("h", LOCAL, ["/no/such/program"])


async def test_a_command_that_takes_too_long_is_stopped_with_its_children(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    with pytest.raises(CommandTimeout, match="took longer than"):
        await execute("h", LOCAL, f"sleep 600 & echo $! > {noted}; wait", limit=0.5)
    await eventually(lambda: not is_alive(int(noted.read_text())))


async def test_a_cancelled_command_is_stopped(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    task = asyncio.ensure_future(execute("h", LOCAL, f"echo $$ > {noted}; exec sleep 600"))
    await eventually(lambda: noted.exists() and noted.read_text().strip())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(int(noted.read_text()))


async def test_a_command_ended_by_a_signal_says_so() -> None:
    with pytest.raises(CommandFailed, match="signal 9") as caught:
        await execute("h", LOCAL, "kill -9 $$")
    assert caught.value.exit_code == -signal.SIGKILL


def test_ssh_never_asks_and_quotes_for_the_other_side() -> None:
    connection = Connection("ssh", address="10.0.0.7", port=2222, user="ci", key_file="/k")
    argv = argv_for("edge", connection, ["echo", "a b"])
    assert argv[:3] == ["ssh", "-o", "BatchMode=yes"]
    assert argv[-3:] == ["--", "10.0.0.7", "echo 'a b'"]
    for pair in (["-p", "2222"], ["-l", "ci"], ["-i", "/k"]):
        assert pair[1] == argv[argv.index(pair[0]) + 1]
    assert argv_for("edge", Connection("ssh", address="x"), "a | b")[-1] == "a | b"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[sshd.Sshd]:
    with sshd.running(tmp_path) as server:
        yield server


async def test_only_the_key_that_the_lab_knows_is_taken_for_the_host(
    server: sshd.Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(host_key: str) -> Connection:
        properties = {"host_key": host_key} if host_key else {}
        address, key_file = "127.0.0.1", str(server.key_file)
        return Connection("ssh", address, server.port, server.user, key_file, properties)

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    another = (tmp_path / "user.pub").read_text().strip()
    for key in (server.host_key, f"{another}\n{server.host_key}", "any"):
        assert (await execute("refb", reached(key), "echo $((1 + 1))")).stdout == "2\n"
    with pytest.raises(CommandFailed, match="Host key verification failed"):
        await execute("refb", reached(another), "true")
    assert not list(temporary.iterdir())


def test_docker_asks_the_engine_that_the_driver_names() -> None:
    named = {"container": "c0ffee", "engine": "tcp://10.0.0.7:2375"}
    connection = Connection("docker", user="ci", properties=named)
    argv = argv_for("box", connection, ["echo", "a b"])
    assert argv[:4] == ["docker", "--host", "tcp://10.0.0.7:2375", "exec"]
    assert argv[-5:] == ["--user", "ci", "c0ffee", "echo", "a b"]
    plain = argv_for("box", Connection("docker", properties={"container": "c"}), "a | b")
    assert plain[-4:] == ["c", "/bin/sh", "-c", "a | b"]
    assert "--host" not in plain
    with pytest.raises(WrongHost):
        argv_for("box", Connection("docker"), "true")


async def test_ssh_that_cannot_connect_is_told_from_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'Connection refused' >&2\nexit 255\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(CommandFailed, match=r"cannot connect:\nConnection refused"):
        await execute("edge", Connection("ssh", address="10.0.0.7"), "true")


def test_another_protocol_is_for_another_client() -> None:
    with pytest.raises(WrongHost, match=r"'winrm'.*host\.connection"):
        argv_for("h", Connection("winrm"), "dir")


def test_a_host_is_its_share_of_the_resource() -> None:
    gpu = resource_pb2.Gpu
    cards = [gpu(model="a"), gpu(model="b")]
    spec = resource_pb2.ResourceSpec(name="hv", cpus=64, memory_bytes=100, gpus=cards)
    share = resource_pb2.Share(cpus=4, gpus=[1])
    hold = resource_pb2.Hold(resource="hv", share=share)
    facts = read_host("h", allocation_pb2.Host(spec=spec, hold=hold))
    assert (facts.cpus, facts.memory_bytes, [g.model for g in facts.gpus]) == (4, 100, ["b"])
    whole = read_host("h", allocation_pb2.Host(spec=spec))
    assert (whole.cpus, len(whole.gpus), whole.resource) == (64, 2, "hv")


def test_a_connection_does_not_show_its_properties() -> None:
    assert "hunter2" not in repr(Connection("x", properties={"password": "hunter2"}))
