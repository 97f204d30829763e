"""Driver `ec2`: cloud instances, one for each hold."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from hwprovisioner.resourcemanager.driver import Channel, Report
from hwprovisioner.resourcemanager.drivers import _ec2_instance as instances
from hwprovisioner.resourcemanager.drivers._ec2_api import Ec2Api
from hwprovisioner.resourcemanager.drivers._ec2_console import Console
from hwprovisioner.resourcemanager.drivers._ec2_door import door_of, public_key_of
from hwprovisioner.resourcemanager.drivers._ec2_instance import Seen
from hwprovisioner.resourcemanager.drivers._ec2_options import Ec2Options
from hwprovisioner.resourcemanager.drivers._guest_ssh import Door, try_door
from hwprovisioner.resourcemanager.drivers._waiting import until
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import (
    Connection,
    Hold,
    Instance,
    Kind,
    Makes,
    OperatingSystem,
    Power,
    Resource,
    TimeLimits,
)
from hwprovisioner.serving.problems import Path

_ALIVE = ("pending", "running", "stopping", "stopped")
_CALLS = {Power.ON: "start_instances", Power.OFF: "stop_instances", Power.CYCLE: "reboot_instances"}


class Ec2Driver(Maker):
    """Runs an instance for each hold and terminates it after."""

    Options: ClassVar[type[BaseModel]] = Ec2Options
    default_kind: ClassVar[Kind | None] = Kind.CLOUD_INSTANCE
    default_time_limits: ClassVar[TimeLimits] = TimeLimits(
        ready_up_s=600.0, tear_down_s=60.0, clean_s=600.0, check_s=60.0
    )

    @classmethod
    def verify(cls, resource: Resource) -> Iterable[tuple[Path, str]]:
        """Yield what is wrong with its warm pool."""
        options = resource.options
        assert isinstance(options, Ec2Options)
        if resource.pool is not None and not options.login_key_file:
            message = (
                "is needed with a warm pool: the private key with which the manager logs in to an"
                " instance that was made for nobody, to let its holder in"
            )
            yield ("options", "login_key_file"), message

    @property
    def makes(self) -> Makes:
        """The images of the options, and the types."""
        images = self._options.images
        systems = (OperatingSystem(**dict(image.os)) for image in images.values())
        return Makes(
            images=tuple(images),
            systems=tuple(dict.fromkeys(one for one in systems if one != OperatingSystem())),
            disk_bytes=self._options.disk_limit or 0,
            parameters=("type",),
        )

    @property
    def has_power(self) -> bool:
        """Instances are started, stopped and rebooted."""
        return True

    @property
    def has_console(self) -> bool:
        """What an instance has said can be read."""
        return True

    async def check(self) -> None:
        """See whether the API lets us in, and knows the images, the subnet and the groups."""
        options = self._options
        if options.login_key_file:
            public_key_of(options.login_key_file)
        wanted = {image.ami for image in options.images.values()}
        answer = await self._api.read("describe_images", ImageIds=sorted(wanted))
        if missing := wanted - {image["ImageId"] for image in answer["Images"]}:
            raise DriverError(f"EC2 in {options.region} has no image {', '.join(sorted(missing))}")
        if options.subnet:
            await self._api.read("describe_subnets", SubnetIds=[options.subnet])
        if options.security_groups:
            await self._api.read("describe_security_groups", GroupIds=options.security_groups)

    async def prepare(self, hold: Hold, report: Report) -> Connection:
        """Run an instance for a hold, which lets its holder in from the beginning."""
        instance = Instance.of(hold)
        await self._make(instance, None if hold.pooled else hold, report)
        return await self.hand_over(instance, hold, report)

    async def make(self, instance: Instance, report: Report) -> None:
        """Run an instance for nobody yet, and wait until it is up."""
        await self._make(instance, None, report)

    async def hand_over(self, instance: Instance, hold: Hold, report: Report) -> Connection:
        """Say whose it is, and let them in if that was not done when it was made."""
        seen = await self._need(instance.name)
        options = self._options
        image = options.images[instances.image_of(options, instance)]
        door = door_of(seen, options, image.user)
        if instances.tag(seen, instances.HOLD_TAG) != hold.id:
            await self._let_in(door, hold, report)
        words = instances.as_tags(instances.tags_of_hold(hold))
        await self._api.change("create_tags", Resources=[seen["InstanceId"]], Tags=words)
        return Connection(
            protocol="ssh",
            address=door.address,
            port=door.port,
            user=door.user,
            properties={"instance_id": seen["InstanceId"]},
        )

    async def destroy(self, name: str, report: Report) -> None:
        """Terminate the instance, and see it gone."""
        seen = [one for one in await self._all(name) if instances.state(one) != "terminated"]
        if not seen:
            return
        ids = [one["InstanceId"] for one in seen]
        report("terminating the instance")
        await self._api.change("terminate_instances", InstanceIds=ids)

        async def look() -> str:
            states = [instances.state(one) for one in await self._all(name)]
            return "" if all(one == "terminated" for one in states) else ", ".join(states)

        await until(look, "its end", report)

    async def existing(self) -> Collection[str]:
        """Return the names that the instances of this resource are tagged with."""
        return {
            instances.tag(seen, instances.INSTANCE_TAG)
            for seen in await self._all()
            if instances.state(seen) != "terminated"
        }

    async def is_well(self, instance: Instance) -> bool:
        """Say whether it runs."""
        return any(instances.state(one) == "running" for one in await self._all(instance.name))

    async def power(self, action: Power, hold: Hold | None, report: Report) -> None:
        """Start, stop or reboot the instance, and wait until that is done."""
        if hold is None:
            raise DriverError("an instance is there, and has power, only while it is held")
        seen = await self._need(hold.instance)
        report(f"power {action}")
        await self._api.change(_CALLS[action], InstanceIds=[seen["InstanceId"]])
        await self._until("stopped" if action is Power.OFF else "running", hold.instance, report)

    async def console(self, hold: Hold) -> Channel:
        """Tell what the instance has said, and goes on to say; nothing can be typed."""
        seen = await self._need(hold.instance)
        console = Console(self._api, seen["InstanceId"])
        return console, console

    async def _make(self, instance: Instance, hold: Hold | None, report: Report) -> None:
        seen = await self._find(instance.name)
        if seen is None:
            await self._run(instance, hold, report)
        elif instances.state(seen) in ("stopping", "stopped"):
            await self._until("stopped", instance.name, report)
            await self._api.change("start_instances", InstanceIds=[seen["InstanceId"]])
        await self._until("running", instance.name, report)
        if self._options.ready == "ssh":
            image = self._options.images[instances.image_of(self._options, instance)]
            door = door_of(await self._need(instance.name), self._options, image.user)
            await until(functools.partial(try_door, door), "SSH", report)

    async def _let_in(self, door: Door, hold: Hold, report: Report) -> None:
        """Let a holder in to an instance that was made for nobody."""
        if not door.private_key:
            raise DriverError("nobody can be let in later without `login_key_file` in the options")
        if not hold.ssh_public_key:
            report("the holder sent no public key: there is no way in")
            return
        await until(functools.partial(try_door, door, hold.ssh_public_key), "SSH", report)

    async def _run(self, instance: Instance, hold: Hold | None, report: Report) -> None:
        options, resource = self._options, self.resource
        image = options.images[instances.image_of(options, instance)]
        size = instances.type_of(options, instance)
        earlier = len(await self._all(instance.name))
        words = instances.tags(resource, options, instance.name, hold)
        wanted: dict[str, Any] = {
            "ImageId": image.ami,
            "InstanceType": size,
            "MinCount": 1,
            "MaxCount": 1,
            "ClientToken": instances.token(resource, instance.name, earlier),
            "UserData": instances.user_data(await self._keys(hold)),
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": words} for kind in ("instance", "volume")
            ],
            "InstanceInitiatedShutdownBehavior": "stop",
        }
        if options.subnet:
            wanted["SubnetId"] = options.subnet
        if options.security_groups:
            wanted["SecurityGroupIds"] = options.security_groups
        if instance.disk_bytes:
            found = await self._api.read("describe_images", ImageIds=[image.ami])
            root = found["Images"][0]["RootDeviceName"]
            wanted["BlockDeviceMappings"] = instances.disk(instance.disk_bytes, root)
        report(f"running an instance of type {size}")
        await self._api.change("run_instances", **wanted)

    async def _keys(self, hold: Hold | None) -> list[str]:
        """Return the keys that let in from the beginning."""
        options = self._options
        if hold is not None and not hold.ssh_public_key and options.ready == "ssh":
            raise DriverError(
                "an instance lets its holder in by the holder's own public key, and none was"
                " sent: is `ssh-keygen` there, or a key named (--ssh-key FILE.pub)?"
            )
        keys = [hold.ssh_public_key] if hold is not None and hold.ssh_public_key else []
        return keys + ([public_key_of(options.login_key_file)] if options.login_key_file else [])

    async def _until(self, wanted: str, name: str, report: Report) -> None:
        async def look() -> str:
            seen = await self._need(name)
            now = instances.state(seen)
            return "" if now == wanted else f"it is {now}"

        await until(look, f"the instance to be {wanted}", report)

    async def _need(self, name: str) -> Seen:
        seen = await self._find(name)
        if seen is None:
            raise DriverError(f"instance {name} is gone")
        return seen

    async def _find(self, name: str) -> Seen | None:
        alive = [one for one in await self._all(name) if instances.state(one) in _ALIVE]
        return min(alive, key=lambda one: str(one["InstanceId"]), default=None)

    async def _all(self, name: str = "") -> list[Seen]:
        """Return the instances of this resource, those too that are terminated, or one's."""
        wanted = instances.mark_of(self.resource)
        if name:
            wanted[instances.INSTANCE_TAG] = name
        filters = [{"Name": f"tag:{tag}", "Values": [value]} for tag, value in wanted.items()]
        found = await self._api.pages("describe_instances", "Reservations", Filters=filters)
        return [one for reservation in found for one in _instances(reservation)]

    @functools.cached_property
    def _api(self) -> Ec2Api:
        return Ec2Api(self._options)

    @property
    def _options(self) -> Ec2Options:
        assert isinstance(self.resource.options, Ec2Options)
        return self.resource.options


def _instances(reservation: Mapping[str, Any]) -> list[Seen]:
    return list(reservation.get("Instances", ()))
