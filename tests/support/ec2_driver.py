"""Driver `ec2` for a real server of its API, and what that says of instances."""

from typing import Any

from hwprovisioner.resourcemanager import Hold, Kind, Resource
from hwprovisioner.resourcemanager.drivers._ec2_options import Ec2Options
from hwprovisioner.resourcemanager.drivers.ec2 import Ec2Driver
from hwprovisioner.resourcemanager.model import Share
from support import ec2_server
from support.asking import HOLDER_KEY

GIB = 1024**3


def options_for(url: str, ami: str, **options: object) -> Ec2Options:
    """Return options with two images and three types."""
    whole: dict[str, object] = {
        "region": ec2_server.REGION,
        "endpoint_url": url,
        "images": {
            "debian": {"ami": ami, "os": {"distro": "debian"}, "user": "admin"},
            "ubuntu": {"ami": ami, "os": {"distro": "ubuntu"}, "user": "ubuntu"},
        },
        "types": {
            "t3.micro": {"cpus": 2, "memory": "1GiB"},
            "m5.large": {"cpus": 2, "memory": "8GiB"},
            "g4dn.xlarge": {"cpus": 4, "memory": "16GiB", "gpus": 1},
        },
        "ready": "running",
        **options,
    }
    return Ec2Options.model_validate(whole)


def driver_for(server: ec2_server.Ec2Server, **options: object) -> Ec2Driver:
    checked = options_for(server.url, server.ami, **options)
    return Ec2Driver(Resource("cloud", Kind.CLOUD_INSTANCE, "ec2", options=checked, mark="ours"))


_fences = iter(range(1, 1_000))


def new_hold(**more: Any) -> Hold:
    fence = next(_fences)
    words = {"allocation_id": "a1", "share": Share(2, GIB), "ssh_public_key": HOLDER_KEY, **more}
    return Hold(f"cloud.{fence}", "cloud", fence, **words)


def found(server: ec2_server.Ec2Server, hold: Hold) -> list[dict[str, Any]]:
    """What the API says of a hold's instances, those too that are terminated."""
    wanted = [{"Name": "tag:hwprovisioner:instance", "Values": [hold.instance]}]
    answer = server.client.describe_instances(Filters=wanted)
    return [one for each in answer["Reservations"] for one in each["Instances"]]


def silent(line: str) -> None:
    pass
