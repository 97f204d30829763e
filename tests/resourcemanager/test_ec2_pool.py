"""Driver `ec2`: instances that were made for nobody let in whoever gets them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import DriverError, calls
from hwprovisioner.resourcemanager.config import parse_config
from hwprovisioner.resourcemanager.errors import ConfigError
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import Instance
from support import ec2_server
from support.asking import HOLDER_KEY
from support.ec2_driver import driver_for, found, new_hold, silent


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ec2_server.Ec2Server]:
    with ec2_server.running(tmp_path_factory.mktemp("ec2")) as server:
        yield server


@pytest.mark.parametrize("ready", ["ssh", "running"])
def test_a_pool_needs_the_managers_own_key(ready: str) -> None:
    text = f"""
resources:
  dynamic:
    cloud:
      driver: ec2
      limits: {{cpu: 4, mem: 4GiB, instances: 2}}
      pool: {{min: 1}}
      options:
        region: eu-central-1
        ready: {ready}
        images: {{a: {{ami: ami-12345678}}}}
        types: {{t3.micro: {{cpus: 2, memory: 1GiB}}}}
"""
    with pytest.raises(ConfigError, match=r"yml:9:.*login_key_file: is needed with a warm pool"):
        parse_config(text, "resources.yml", load_driver)


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
