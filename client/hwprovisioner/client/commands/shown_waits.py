"""Wait times as rows of a table, and demands in the few words of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hwprovisioner.client.durations import show
from hwprovisioner.client.known_keys import LONE_HOST
from hwprovisioner.client.words import word
from hwprovisioner.v1.demand_pb2 import (
    Demands,
    GpuDemand,
    HostDemand,
    OsDemand,
    Provisioning,
    Relation,
    RelationKind,
)
from hwprovisioner.v1.resource_pb2 import ResourceKind

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration

    from hwprovisioner.v1.allocate_service_pb2 import WaitTimes

HEADS = (
    *("CLASS", "WANTED", "QUEUED", "GRANTED"),
    *("MEDIAN WAIT", "90 % WAIT", "MEDIAN SPAN", "90 % SPAN"),
)
SHORT_ID = 12
"""So many characters of a class's digest tell it from the others of a lab."""


def wait_row(waits: WaitTimes, *, wide: bool) -> Sequence[str]:
    """Gives the cells of a class of requests."""
    return (
        waits.class_id if wide else waits.class_id[:SHORT_ID],
        demands_line(waits.demands) if waits.HasField("demands") else "",
        str(waits.queued_count),
        str(waits.granted_count),
        *(
            _span(getattr(waits, name)) if waits.HasField(name) else ""
            for name in ("median_wait", "likely_wait", "median_span", "likely_span")
        ),
    )


def demands_line(demands: Demands) -> str:
    """Writes demands as the options of `hwp` do: `db:cpus=8,memory=16GiB edge:label=jetson`."""
    hosts = [
        _host(demands.hosts[name]) if name == LONE_HOST else f"{name}:{_host(demands.hosts[name])}"
        for name in sorted(demands.hosts)
    ]
    said = (each.removesuffix(":") or "anything" for each in hosts)
    return " ".join((*said, *(_relation(each) for each in demands.relations)))


def _host(host: HostDemand) -> str:
    return ",".join(f"{key}={value}" for key, value in _pairs(host) if value)


def _pairs(host: HostDemand) -> Iterator[tuple[str, str]]:
    yield "count", str(host.count or "")
    yield from (("kind", word(ResourceKind, kind)) for kind in host.kinds)
    yield "cpus", host.cpus
    yield "memory", host.memory
    yield from (("gpu", _gpu(each)) for each in host.gpus)
    yield "os", _os(host.os)
    yield from (("label", each) for each in host.labels)
    yield "resource", host.resource
    yield from (("not", each) for each in host.not_resources)
    yield "where", host.where
    yield from _made(host.provisioning)
    yield "any-of", "|".join(f"({_host(each)})" for each in host.any_of)


def _made(made: Provisioning) -> Iterator[tuple[str, str]]:
    yield "image", made.image
    yield "disk", made.disk
    yield from (("param", f"{name}={made.parameters[name]}") for name in sorted(made.parameters))


def _gpu(gpu: GpuDemand) -> str:
    name = " ".join(filter(None, (gpu.brand, gpu.model, gpu.memory))) or "any"
    return f"{gpu.count}x{name}" if gpu.count > 1 else name


def _os(system: OsDemand) -> str:
    return " ".join(filter(None, (system.family, system.distro, system.version)))


def _relation(relation: Relation) -> str:
    hosts = f":{','.join(relation.hosts)}" if relation.hosts else ""
    return f"{word(RelationKind, relation.kind)}={relation.label}{hosts}"


def _span(span: Duration) -> str:
    return show(span.ToTimedelta().total_seconds())
