"""Driver `ec2` for a real server of its API, and what that says of instances."""

from typing import Any

from hwprovisioner.resourcemanager import Hold, Kind, Resource
from hwprovisioner.resourcemanager.drivers.ec2 import Ec2Driver
from hwprovisioner.resourcemanager.model import Share
from support import ec2_server
from support.asking import HOLDER_KEY

GIB = 1024**3


def driver_for(server: ec2_server.Ec2Server, **options: object) -> Ec2Driver:
    whole: dict[str, object] = {
        "region": ec2_server.REGION,
        "endpoint_url": server.url,
        "images": {
            "debian": {"ami": server.ami, "os": {"distro": "debian"}, "user": "admin"},
            "ubuntu": {"ami": server.ami, "os": {"distro": "ubuntu"}, "user": "ubuntu"},
        },
        "types": {
            "t3.micro": {"cpus": 2, "memory": "1GiB"},
            "m5.large": {"cpus": 2, "memory": "8GiB"},
            "g4dn.xlarge": {"cpus": 4, "memory": "16GiB", "gpus": 1},
        },
        "ready": "running",
        **options,
    }
    checked = Ec2Driver.Options.model_validate(whole)
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
