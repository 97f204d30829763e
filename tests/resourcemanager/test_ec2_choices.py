"""Driver `ec2`: what it decides without its API: which type and image, what is new on a console."""

import pytest

from hwprovisioner.resourcemanager import DriverError
from hwprovisioner.resourcemanager.config import parse_config
from hwprovisioner.resourcemanager.drivers._ec2_console import new_part
from hwprovisioner.resourcemanager.drivers._ec2_instance import image_of, type_of
from hwprovisioner.resourcemanager.errors import ConfigError
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import Instance, OperatingSystem, Share
from support.ec2_driver import GIB, options_for

OPTIONS = options_for("http://127.0.0.1:1", "ami-12345678")


@pytest.mark.parametrize(
    ("known", "output", "new"),
    [
        (b"", b"boot", b"boot"),
        (b"boot", b"boot\nlogin:", b"\nlogin:"),
        (b"boot", b"boot", b""),
        (b"x" * 2_000 + b"end", b"x" * 1_500 + b"end and more", b" and more"),
        (b"old", b"another boot", b"another boot"),
    ],
)
def test_what_is_new_on_a_console_is_told_once(known: bytes, output: bytes, new: bytes) -> None:
    assert new_part(known, output) == new


@pytest.mark.parametrize(
    ("share", "parameters", "expected"),
    [
        (Share(1, GIB), {}, "t3.micro"),
        (Share(2, 2 * GIB), {}, "m5.large"),
        (Share(1, GIB, (0,)), {}, "g4dn.xlarge"),
        (Share(1, GIB), {"type": "m5.large"}, "m5.large"),
    ],
)
def test_the_first_type_that_is_large_enough_is_taken(
    share: Share, parameters: dict[str, str], expected: str
) -> None:
    assert type_of(OPTIONS, Instance("i", share, parameters=parameters)) == expected


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        (Instance("i", Share(64, GIB)), "no type in the options has 64 cpus"),
        (Instance("i", Share(4, GIB), parameters={"type": "t3.micro"}), "type t3.micro in the"),
        (Instance("i", parameters={"type": "t3.mcro"}), "no type 't3.mcro'.*t3.micro"),
    ],
)
def test_what_no_type_has_is_said(instance: Instance, words: str) -> None:
    with pytest.raises(DriverError, match=words):
        type_of(OPTIONS, instance)


def test_the_image_is_one_with_the_system_that_was_asked_for() -> None:
    assert image_of(OPTIONS, Instance("i")) == "debian"
    assert image_of(OPTIONS, Instance("i", os=OperatingSystem(distro="Ubuntu"))) == "ubuntu"
    with pytest.raises(DriverError, match="no image in the options is fedora"):
        image_of(OPTIONS, Instance("i", os=OperatingSystem(distro="fedora")))


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
