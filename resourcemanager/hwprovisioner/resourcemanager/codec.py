"""Between the messages of the contract and the words of this package.

Nothing else touches protobuf.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.json_format import MessageToDict

from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.model import Connection, Facts, Hold, Kind, Resource, Share
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2 as pb

#: As the contract says.
_LONGEST_PROGRESS = 1024
#: The lab takes no longer ones. They come from drivers and scripts, so they are cut.
_LONGEST_REASON = 1024
#: The same for what drivers detect: the name of a card, a version.
_LONGEST_WORD = 128

_KINDS = {
    Kind.VIRTUAL_MACHINE: pb.RESOURCE_KIND_VIRTUAL_MACHINE,
    Kind.PHYSICAL_SERVER: pb.RESOURCE_KIND_PHYSICAL_SERVER,
    Kind.EDGE_DEVICE: pb.RESOURCE_KIND_EDGE_DEVICE,
    Kind.CLOUD_INSTANCE: pb.RESOURCE_KIND_CLOUD_INSTANCE,
    Kind.CONTAINER: pb.RESOURCE_KIND_CONTAINER,
}

#: A failed hold is still being prepared as far as the lab knows; `failed` is said again after
#: registering.
_STATES = {
    Phase.PREPARING: pb.HOLD_STATE_PREPARING,
    Phase.READY: pb.HOLD_STATE_READY,
    Phase.FAILED: pb.HOLD_STATE_PREPARING,
    Phase.CLEANING: pb.HOLD_STATE_CLEANING,
    Phase.CLEANED: pb.HOLD_STATE_CLEANING,
}


def spec(resource: Resource, facts: Facts) -> pb.ResourceSpec:
    """Return a resource as the lab is told of it, with the facts that its driver detected."""
    known = resource.declared.over(facts)
    message = pb.ResourceSpec(
        name=resource.name,
        kind=_KINDS[resource.kind],
        cpus=known.cpus or 0,
        memory_bytes=known.memory_bytes or 0,
        labels=resource.labels,
        driver=resource.driver,
    )
    for gpu in known.gpus or ():
        brand, model = gpu.brand[:_LONGEST_WORD], gpu.model[:_LONGEST_WORD]
        message.gpus.add(brand=brand, model=model, memory_bytes=gpu.memory_bytes)
    if known.os is not None:
        message.os.family = known.os.family[:_LONGEST_WORD]
        message.os.distro = known.os.distro[:_LONGEST_WORD]
        message.os.version = known.os.version[:_LONGEST_WORD]
    if resource.division is not None:
        message.division.instances = resource.division.instances
        message.division.default_cpus = resource.division.default_cpus
        message.division.default_memory_bytes = resource.division.default_memory_bytes
    return message


def offered(offer: stream.Offer) -> Hold:
    """Return the hold that is offered."""
    share = offer.share
    demand: dict[str, Any] = MessageToDict(offer.demand, preserving_proto_field_name=True)
    return Hold(
        id=offer.hold.hold_id,
        resource=offer.resource,
        fence=offer.hold.fence,
        share=Share(share.cpus, share.memory_bytes, tuple(share.gpus)),
        allocation_id=offer.allocation_id,
        host=offer.host,
        user=offer.user,
        demand=demand,
        ssh_public_key=offer.ssh_public_key,
    )


def register(
    manager_id: str, version: str, inventory: Iterable[pb.ResourceSpec], holds: Iterable[Held]
) -> stream.SubscribeRequest:
    """Say who this manager is and what it has in hand."""
    held = [stream.HeldHold(hold=_ref(one.hold), state=_STATES[one.phase]) for one in holds]
    message = stream.Register(
        manager_id=manager_id, version=version, inventory=inventory, holds=held
    )
    return stream.SubscribeRequest(register=message)


def volunteer(what: pb.ResourceSpec) -> stream.SubscribeRequest:
    """Say that a resource is to be had."""
    return stream.SubscribeRequest(volunteer=stream.Volunteer(spec=what))


def withdraw(resource: str, reason: str, *, removed: bool = False) -> stream.SubscribeRequest:
    """Say that a resource is not to be had."""
    reason = reason[:_LONGEST_REASON]
    message = stream.Withdraw(resource=resource, reason=reason, removed=removed)
    return stream.SubscribeRequest(withdraw=message)


def accept(hold: Hold) -> stream.SubscribeRequest:
    """Take an offer up."""
    return stream.SubscribeRequest(accept=stream.Accept(hold=_ref(hold)))


def decline(hold: Hold, reason: str, retry_s: float) -> stream.SubscribeRequest:
    """Turn an offer down; a retry delay of 0 leaves it to the lab."""
    message = stream.Decline(hold=_ref(hold), reason=reason[:_LONGEST_REASON])
    if retry_s:
        message.retry_delay.FromMilliseconds(round(retry_s * 1000))
    return stream.SubscribeRequest(decline=message)


def progress(hold: Hold, line: str) -> stream.SubscribeRequest:
    """Say how it goes; a long line is cut."""
    message = stream.Progress(hold=_ref(hold), message=line[:_LONGEST_PROGRESS])
    return stream.SubscribeRequest(progress=message)


def standing(held: Held) -> stream.SubscribeRequest | None:
    """Say how a hold stands; `None` while it is being cleaned, which is the lab's own word."""
    match held.phase:
        case Phase.PREPARING:
            return accept(held.hold)
        case Phase.READY:
            assert held.connection is not None
            return _ready(held.hold, held.connection)
        case Phase.FAILED:
            reason = held.reason[:_LONGEST_REASON]
            message = stream.Failed(hold=_ref(held.hold), reason=reason)
            return stream.SubscribeRequest(failed=message)
        case Phase.CLEANED:
            return stream.SubscribeRequest(cleaned=stream.Cleaned(hold=_ref(held.hold)))
        case Phase.CLEANING:
            return None


def pong() -> stream.SubscribeRequest:
    """Answer a ping."""
    return stream.SubscribeRequest(pong=stream.Pong())


def _ready(hold: Hold, connection: Connection) -> stream.SubscribeRequest:
    message = pb.Connection(
        protocol=connection.protocol,
        address=connection.address,
        port=connection.port,
        user=connection.user,
        key_file=connection.key_file,
        properties=connection.properties,
    )
    return stream.SubscribeRequest(ready=stream.Ready(hold=_ref(hold), connection=message))


def _ref(hold: Hold) -> stream.HoldRef:
    return stream.HoldRef(hold_id=hold.id, fence=hold.fence)
