"""What an instance in the cloud is asked to be, and what is read of one. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from hwprovisioner.resourcemanager.drivers._ec2_options import Ec2Options
from hwprovisioner.resourcemanager.drivers._names import name_there
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Hold, Instance, Resource
from hwprovisioner.serving.problems import suggest

RESOURCE_TAG = "hwprovisioner:resource"
INSTANCE_TAG = "hwprovisioner:instance"
MARK_TAG = "hwprovisioner:mark"
HOLD_TAG = "hwprovisioner:hold"
_GIB = 1024**3

#: An instance as the API describes it.
Seen = Mapping[str, Any]


def type_of(options: Ec2Options, instance: Instance) -> str:
    """Return the type that an instance is to have.

    Raises:
        DriverError: None is large enough, or the one that was asked for is not in the options.
    """
    asked, share = instance.parameters.get("type", ""), instance.share
    if asked and asked not in options.types:
        raise DriverError(f"there is no type {asked!r}{suggest(asked, options.types)}")
    for name, has in options.types.items():
        if asked in ("", name) and (
            has.cpus >= share.cpus
            and has.memory >= share.memory_bytes
            and has.gpus >= len(share.gpus)
        ):
            return name
    wanted = f"{share.cpus} cpus, {share.memory_bytes:,} bytes, {len(share.gpus)} cards"
    raise DriverError(f"{f'type {asked}' if asked else 'no type'} in the options has {wanted}")


def image_of(options: Ec2Options, instance: Instance) -> str:
    """Return the name of the image that an instance is made of: that, or the first that will do.

    Raises:
        DriverError: There is none.
    """
    if instance.image:
        if instance.image not in options.images:
            known = suggest(instance.image, options.images)
            raise DriverError(f"there is no image {instance.image!r}{known}")
        return instance.image
    asked = instance.os
    for name, image in options.images.items():
        has = image.os
        if all(
            word.lower() in ("", found.lower())
            for word, found in ((asked.family, has.family), (asked.distro, has.distro))
        ):
            return name
    raise DriverError(f"no image in the options is {asked.distro or asked.family}")


def token(resource: Resource, name: str, earlier: int) -> str:
    """Return what makes a repeated call the same call, after so many that are gone."""
    words = json.dumps([resource.mark, resource.name, name, earlier])
    return hashlib.sha256(words.encode()).hexdigest()


def tags(
    resource: Resource, options: Ec2Options, name: str, hold: Hold | None
) -> list[dict[str, str]]:
    """Return the tags of an instance: the lab's own, and those of the file."""
    ours = {**options.tags, "Name": name_there(resource, name), **mark_of(resource)}
    ours[INSTANCE_TAG] = name
    if hold is not None:
        ours |= tags_of_hold(hold)
    return as_tags(ours)


def mark_of(resource: Resource) -> dict[str, str]:
    """Return the tags by which the instances of a resource are known."""
    return {RESOURCE_TAG: resource.name, MARK_TAG: resource.mark}


def tags_of_hold(hold: Hold) -> dict[str, str]:
    """Return what tells for whom an instance is."""
    return {
        HOLD_TAG: hold.id,
        "hwprovisioner:allocation": hold.allocation_id,
        "hwprovisioner:fence": str(hold.fence),
    }


def as_tags(words: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as the API takes them."""
    return [{"Key": name, "Value": value} for name, value in words.items()]


def tag(seen: Seen, name: str) -> str:
    """Return the value of a tag, empty if it is not there."""
    return next((str(one["Value"]) for one in seen.get("Tags", ()) if one["Key"] == name), "")


def state(seen: Seen) -> str:
    """Return `pending`, `running`, `stopping`, `stopped`, `shutting-down` or `terminated`."""
    return str(seen["State"]["Name"])


def user_data(keys: list[str]) -> str:
    """Return what cloud-init is told: which keys let in."""
    return "#cloud-config\n" + json.dumps({"ssh_authorized_keys": keys, "ssh_pwauth": False})


def disk(size: int, root: str) -> list[dict[str, Any]]:
    """Return the mapping of a root disk of at least so many bytes."""
    volume = {"VolumeSize": -(-size // _GIB), "DeleteOnTermination": True}
    return [{"DeviceName": root, "Ebs": volume}]
