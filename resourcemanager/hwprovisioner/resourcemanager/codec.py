"""Between the messages of the contract and the words of this package.

Nothing else touches protobuf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.json_format import MessageToDict

from hwprovisioner.resourcemanager.answers import said
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.model import (
    Connection,
    Facts,
    Hold,
    Kind,
    Makes,
    OperatingSystem,
    Resource,
    Share,
    Traits,
)
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2 as pb

#: The lab takes no longer words. They come from drivers and scripts, so they are cut.
_LONGEST_WORD = 128
#: As the contract says; a driver may find more.
_MOST_WARNINGS = 16
_MOST_IMAGES = 256
_MOST_SYSTEMS = 64
_MOST_PARAMETERS = 64

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
    Phase.DIRTY: pb.HOLD_STATE_CLEANING,
    Phase.CLEANED: pb.HOLD_STATE_CLEANING,
}


def spec(resource: Resource, facts: Facts, traits: Traits) -> pb.ResourceSpec:
    """Return a resource as the lab is told of it, with what its driver detected and can do."""
    known = resource.declared.over(facts)
    message = pb.ResourceSpec(
        name=resource.name,
        kind=_KINDS[resource.kind],
        cpus=known.cpus or 0,
        memory_bytes=known.memory_bytes or 0,
        labels=resource.labels,
        driver=resource.driver,
        has_power=traits.has_power,
        has_console=traits.has_console,
    )
    for gpu in known.gpus or ():
        brand, model = gpu.brand[:_LONGEST_WORD], gpu.model[:_LONGEST_WORD]
        message.gpus.add(brand=brand, model=model, memory_bytes=gpu.memory_bytes)
    if known.os is not None:
        message.os.CopyFrom(_system(known.os))
    if traits.makes is not None:
        message.makes.CopyFrom(_makes(traits.makes))
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
    manager_id: str,
    version: str,
    inventory: Iterable[pb.ResourceSpec],
    holds: Iterable[Held],
    fences: Mapping[str, int],
    journal_id: str,
) -> stream.SubscribeRequest:
    """Say who this manager is, what it has in hand, and which fences it has seen by resource."""
    known = list(holds)
    message = stream.Register(
        manager_id=manager_id,
        version=version,
        inventory=inventory,
        holds=[_held(one) for one in known if one.is_live],
        fences=fences,
        cleaned=[_ref(one.hold) for one in known if not one.is_live],
        journal_id=journal_id,
    )
    return stream.SubscribeRequest(register=message)


def volunteer(
    what: pb.ResourceSpec, fence: int, warnings: Iterable[str] = ()
) -> stream.SubscribeRequest:
    """Say that a resource is to be had, which fence of it was seen, and what of it is doubtful."""
    lines = [said(line) for line in warnings][:_MOST_WARNINGS]
    message = stream.Volunteer(spec=what, warnings=lines, fence=fence)
    return stream.SubscribeRequest(volunteer=message)


def healthy(resource: str, reason: str, look: int) -> stream.SubscribeRequest:
    """Say that a resource that was to be looked after is well, by the number of that look."""
    return _health(resource, pb.HEALTH_HEALTHY, reason, look)


def quarantined(resource: str, reason: str, look: int) -> stream.SubscribeRequest:
    """Say that a resource is given up until a person has looked after it.

    What is known of that goes as far as a look.
    """
    return _health(resource, pb.HEALTH_QUARANTINED, reason, look)


def withdraw(resource: str, reason: str, *, removed: bool = False) -> stream.SubscribeRequest:
    """Say that a resource is not to be had."""
    reason = said(reason)
    message = stream.Withdraw(resource=resource, reason=reason, removed=removed)
    return stream.SubscribeRequest(withdraw=message)


def accept(hold: Hold) -> stream.SubscribeRequest:
    """Take an offer up."""
    return stream.SubscribeRequest(accept=stream.Accept(hold=_ref(hold)))


def decline(hold: Hold, reason: str, retry_s: float) -> stream.SubscribeRequest:
    """Turn an offer down; a retry delay of 0 leaves it to the lab."""
    message = stream.Decline(hold=_ref(hold), reason=said(reason))
    if retry_s:
        message.retry_delay.FromMilliseconds(round(retry_s * 1000))
    return stream.SubscribeRequest(decline=message)


def progress(hold: Hold, line: str) -> stream.SubscribeRequest:
    """Say how it goes; a long line is cut."""
    message = stream.Progress(hold=_ref(hold), message=said(line))
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
            reason = said(held.reason)
            message = stream.Failed(hold=_ref(held.hold), reason=reason)
            return stream.SubscribeRequest(failed=message)
        case Phase.CLEANED:
            return stream.SubscribeRequest(cleaned=stream.Cleaned(hold=_ref(held.hold)))
        case Phase.CLEANING | Phase.DIRTY:
            return None


def pong() -> stream.SubscribeRequest:
    """Answer a ping."""
    return stream.SubscribeRequest(pong=stream.Pong())


def _health(
    resource: str, health: pb.Health.ValueType, reason: str, look: int
) -> stream.SubscribeRequest:
    reason = said(reason)
    message = stream.HealthChange(resource=resource, health=health, reason=reason, look=look)
    return stream.SubscribeRequest(health=message)


def _makes(makes: Makes) -> pb.Makes:
    return pb.Makes(
        images=[image[:_LONGEST_WORD] for image in makes.images[:_MOST_IMAGES]],
        systems=[_system(system) for system in makes.systems[:_MOST_SYSTEMS]],
        disk_bytes=makes.disk_bytes,
        parameters=[name[:_LONGEST_WORD] for name in makes.parameters[:_MOST_PARAMETERS]],
    )


def _system(system: OperatingSystem) -> pb.Os:
    return pb.Os(
        family=system.family[:_LONGEST_WORD],
        distro=system.distro[:_LONGEST_WORD],
        version=system.version[:_LONGEST_WORD],
        kernel=system.kernel[:_LONGEST_WORD],
    )


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


def _held(held: Held) -> stream.HeldHold:
    hold, share = held.hold, held.hold.share
    return stream.HeldHold(
        hold=_ref(hold),
        state=_STATES[held.phase],
        share=pb.Share(cpus=share.cpus, memory_bytes=share.memory_bytes, gpus=share.gpus),
        allocation_id=hold.allocation_id,
        host=hold.host,
    )


def _ref(hold: Hold) -> stream.HoldRef:
    return stream.HoldRef(hold_id=hold.id, fence=hold.fence)
