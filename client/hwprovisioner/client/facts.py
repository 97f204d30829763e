"""What is known of a granted host: the contract's messages, read once into plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hwprovisioner.client.words import word
from hwprovisioner.v1 import allocation_pb2, resource_pb2
from hwprovisioner.v1.resource_pb2 import ResourceKind


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics or accelerator card that the host has for this allocation."""

    brand: str
    model: str
    memory_bytes: int
    """0 if not known."""


@dataclass(frozen=True, slots=True)
class Os:
    """An operating system; what is not known is empty."""

    family: str = ""
    distro: str = ""
    version: str = ""
    kernel: str = ""
    """The release of its kernel, such as `5.15.0-91-generic`."""


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a host."""

    protocol: str
    """`local`, `ssh`, or a word that driver and test agree on."""
    address: str = ""
    """Host name or address; empty for `local`."""
    port: int = 0
    """TCP port; 0: the protocol's usual one."""
    user: str = ""
    """The user to log in as; empty: the protocol's usual one."""
    key_file: str = ""
    """Path of a private key on this machine; empty if there is none."""
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Whatever else the driver says. Not shown by `repr`: there may be passwords in it."""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A granted host."""

    name: str
    """As the demand calls it; `host` when the demand's keys were given directly."""
    resource: str
    """The resource behind it."""
    kind: str
    """Such as `virtual-machine`; empty if not known."""
    cpus: int
    """Logical processors that it has for this allocation; 0 if not known."""
    memory_bytes: int
    """Main memory that it has for this allocation; 0 if not known."""
    gpus: tuple[Gpu, ...]
    """The cards that it has for this allocation."""
    os: Os
    """Its operating system."""
    labels: Mapping[str, str]
    """Free words about it, each with or without a value."""
    connection: Connection
    """How to reach it."""


def read_hosts(hosts: Mapping[str, allocation_pb2.Host]) -> dict[str, HostFacts]:
    """Reads the hosts of a ready allocation, by name."""
    return {name: read_host(name, hosts[name]) for name in sorted(hosts)}


def read_host(name: str, host: allocation_pb2.Host) -> HostFacts:
    """Reads one host. What its share does not say is taken from the resource."""
    spec, share = host.spec, host.hold.share
    shared = host.hold.HasField("share")
    cards = [spec.gpus[at] for at in share.gpus if at < len(spec.gpus)] if shared else spec.gpus
    return HostFacts(
        name=name,
        resource=host.hold.resource or spec.name,
        kind=word(ResourceKind, spec.kind),
        cpus=share.cpus or spec.cpus,
        memory_bytes=share.memory_bytes or spec.memory_bytes,
        gpus=tuple(Gpu(card.brand, card.model, card.memory_bytes) for card in cards),
        os=Os(spec.os.family, spec.os.distro, spec.os.version, spec.os.kernel),
        labels=dict(spec.labels),
        connection=read_connection(host.connection),
    )


def read_connection(connection: resource_pb2.Connection) -> Connection:
    """Reads how to reach a host."""
    return Connection(
        protocol=connection.protocol,
        address=connection.address,
        port=connection.port,
        user=connection.user,
        key_file=connection.key_file,
        properties=dict(connection.properties),
    )
