"""Driver `ec2`, with a real server of its API: instances, from their start to their end."""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import DriverError, calls
from hwprovisioner.resourcemanager.errors import Later
from hwprovisioner.resourcemanager.model import Instance, Power, Share
from support import ec2_server
from support.asking import HOLDER_KEY
from support.ec2_driver import GIB, driver_for, found, new_hold, silent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ec2_server.Ec2Server]:
    with ec2_server.running(tmp_path_factory.mktemp("ec2")) as server:
        yield server


async def test_an_instance_is_what_was_asked_for_and_says_for_whom(
    server: ec2_server.Ec2Server,
) -> None:
    demand = {"provisioning": {"image": "ubuntu", "disk": "30GiB"}}
    hold = new_hold(share=Share(2, 4 * GIB), demand=demand)
    driver = driver_for(server, subnet=server.subnet, disk_limit="100GiB", tags={"team": "lab"})
    connection = await calls.prepare(driver, hold, silent)
    (one,) = found(server, hold)
    assert connection.address == one["PrivateIpAddress"]
    assert (connection.protocol, connection.user, connection.port) == ("ssh", "ubuntu", 22)
    assert (one["InstanceType"], one["SubnetId"]) == ("m5.large", server.subnet)
    assert {tag["Key"]: tag["Value"] for tag in one["Tags"]} == {
        "Name": f"hwp-ours-{hold.id}",
        "team": "lab",
        "hwprovisioner:resource": "cloud",
        "hwprovisioner:mark": "ours",
        "hwprovisioner:instance": hold.id,
        "hwprovisioner:hold": hold.id,
        "hwprovisioner:allocation": "a1",
        "hwprovisioner:fence": str(hold.fence),
    }
    answer = server.client.describe_instance_attribute(
        InstanceId=one["InstanceId"], Attribute="userData"
    )
    text = base64.b64decode(answer["UserData"]["Value"]).decode()
    head, _, rest = text.partition("\n")
    assert head == "#cloud-config"
    assert json.loads(rest)["ssh_authorized_keys"] == [HOLDER_KEY]
    volume = one["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert server.client.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Size"] == 30
    await calls.clean(driver, hold, silent)
    assert [each["State"]["Name"] for each in found(server, hold)] == ["terminated"]


async def test_requests_are_not_logged(
    server: ec2_server.Ec2Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "s3ss10n")
    caplog.set_level(logging.DEBUG)
    await calls.check(driver_for(server))
    assert "s3ss10n" not in caplog.text


async def test_there_are_never_two_for_one_hold(server: ec2_server.Ec2Server) -> None:
    hold = new_hold()
    for _ in range(3):
        await calls.prepare(driver_for(server), hold, silent)
    assert len(found(server, hold)) == 1
    await calls.clean(driver_for(server), hold, silent)
    # After it is gone, the same name is made anew, and not taken for what was.
    await calls.prepare(driver_for(server), hold, silent)
    states = sorted(each["State"]["Name"] for each in found(server, hold))
    assert states == ["running", "terminated"]
    await calls.clean(driver_for(server), hold, silent)


async def test_power_is_switched_and_a_stopped_one_is_whole_again(
    server: ec2_server.Ec2Server,
) -> None:
    driver, hold = driver_for(server), new_hold()
    await calls.prepare(driver, hold, silent)
    for action, state in (
        (Power.OFF, "stopped"),
        (Power.ON, "running"),
        (Power.CYCLE, "running"),
        (Power.OFF, "stopped"),
    ):
        await calls.power(driver, action, hold, silent)
        assert [each["State"]["Name"] for each in found(server, hold)] == [state]
    await calls.prepare(driver, hold, silent)
    assert [each["State"]["Name"] for each in found(server, hold)] == ["running"]
    await calls.clean(driver, hold, silent)
    with pytest.raises(DriverError, match="is gone"):
        await calls.power(driver, Power.ON, hold, silent)


async def test_the_console_tells_what_was_said(server: ec2_server.Ec2Server) -> None:
    driver, hold = driver_for(server), new_hold()
    await calls.prepare(driver, hold, silent)
    reader, writer = await calls.console(driver, hold)
    assert b"Linux version" in await reader.read()
    waiting = asyncio.create_task(reader.read())
    writer.close()
    assert await waiting == b""
    await calls.clean(driver, hold, silent)


async def test_what_the_account_does_not_have_is_found_by_the_check(
    server: ec2_server.Ec2Server,
) -> None:
    await calls.check(driver_for(server, subnet=server.subnet))
    with pytest.raises(DriverError, match="ami-00000000"):
        await calls.check(driver_for(server, images={"a": {"ami": "ami-00000000"}}))
    with pytest.raises(DriverError, match="subnet-00000000"):
        await calls.check(driver_for(server, subnet="subnet-00000000"))
    with pytest.raises(DriverError, match="sg-00000000"):
        await calls.check(driver_for(server, security_groups=["sg-00000000"]))


async def test_a_holder_without_a_key_is_told_what_to_do(server: ec2_server.Ec2Server) -> None:
    hold = new_hold(ssh_public_key="")
    with pytest.raises(DriverError, match="none was sent: is `ssh-keygen` there"):
        await calls.prepare(driver_for(server, ready="ssh"), hold, silent)
    assert not found(server, hold)


@asynccontextmanager
async def refusing(server: ec2_server.Ec2Server, code: str) -> AsyncIterator[str]:
    """Pass everything on to the server, but refuse to run instances as Amazon does."""
    error = f"<Error><Code>{code}</Code><Message>no more</Message></Error>"
    fault = f"<Response><Errors>{error}</Errors></Response>"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length:")
        )
        body = await reader.readexactly(length)
        if b"Action=RunInstances" in body:
            writer.write(
                f"HTTP/1.1 400 Bad Request\r\nContent-Type: text/xml\r\nConnection: close\r\n"
                f"Content-Length: {len(fault)}\r\n\r\n{fault}".encode()
            )
        else:
            theirs, ours = await asyncio.open_connection("127.0.0.1", server.port)
            ours.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + body)
            writer.write(await theirs.read())
            ours.close()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InstanceLimitExceeded", Later),
        ("VcpuLimitExceeded", Later),
        ("InsufficientInstanceCapacity", Later),
        ("UnauthorizedOperation", DriverError),
    ],
)
async def test_a_quota_that_is_used_up_is_later_and_nothing_else_is(
    server: ec2_server.Ec2Server, code: str, kind: type[DriverError]
) -> None:
    async with refusing(server, code) as url:
        with pytest.raises(DriverError, match=f"EC2: {code}: no more") as caught:
            await calls.prepare(driver_for(replace(server, url=url)), new_hold(), silent)
    assert type(caught.value) is kind


async def test_an_api_that_hangs_takes_nothing_from_the_others(
    server: ec2_server.Ec2Server,
) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        driver = driver_for(replace(server, url=url))
        # More than asyncio has threads.
        hung = [asyncio.create_task(driver.check()) for _ in range(40)]
        assert await asyncio.to_thread(lambda: "a thread") == "a thread"
        for task in hung:
            task.cancel()
        await asyncio.wait(hung)


@pytest.mark.parametrize("ready", ["ssh", "running"])
async def test_what_was_made_for_nobody_lets_in_whoever_gets_it(
    server: ec2_server.Ec2Server, tmp_path: Path, ready: str
) -> None:
    with ec2_server.guest(tmp_path) as (machine, port):
        images = {"any": {"ami": server.ami, "user": machine.user}}
        driver = driver_for(
            server,
            ready=ready,
            port=port,
            subnet=server.subnet,
            images=images,
            login_key_file=str(machine.key_file),
        )
        hold = new_hold(pooled=f"cloud.pool-{ready}")
        instance = Instance.of(hold)
        lines: list[str] = []
        await calls.make(driver, instance, lines.append)
        assert ("waiting for SSH" in lines) is (ready == "ssh")
        (one,) = found(server, hold)
        assert "hwprovisioner:hold" not in {tag["Key"] for tag in one["Tags"]}
        connection = await calls.hand_over(driver, instance, hold, silent, 60)
        await calls.hand_over(driver, instance, hold, silent, 60)
        assert (connection.address, connection.port) == (one["PrivateIpAddress"], port)
        assert text_of(tmp_path / ".ssh" / "authorized_keys") == f"{HOLDER_KEY}\n"
        (one,) = found(server, hold)
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        assert (tags["hwprovisioner:hold"], tags["hwprovisioner:instance"]) == (
            hold.id,
            f"cloud.pool-{ready}",
        )
        other = replace(new_hold(ssh_public_key=""), pooled=hold.pooled)
        await calls.hand_over(driver, instance, other, lines.append, 60)
        assert lines[-1] == "the holder sent no public key: there is no way in"
        await calls.clean(driver, hold, silent)


def text_of(file: Path) -> str:
    return file.read_text()


async def test_nobody_is_handed_an_instance_that_they_cannot_get_in_to(
    server: ec2_server.Ec2Server,
) -> None:
    hold, driver = new_hold(pooled="cloud.pool-2"), driver_for(server, subnet=server.subnet)
    await calls.make(driver, Instance.of(hold), silent)
    with pytest.raises(DriverError, match="without `login_key_file`"):
        await calls.hand_over(driver, Instance.of(hold), hold, silent, 60)
    await calls.clean(driver, hold, silent)
