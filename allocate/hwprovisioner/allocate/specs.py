"""Reading what managers say about resources, from the stream and from the lab's state."""

import functools
from collections.abc import Iterable

from google.protobuf import json_format

from hwprovisioner.allocate.demand import Division, Gpu, HostDemand, Spec
from hwprovisioner.allocate.notation import MAX_NUMBER
from hwprovisioner.allocate.requests import (
    KIND_NAMES,
    LABEL,
    MAX_CARDS,
    MAX_LABELS,
    read_demands,
)
from hwprovisioner.allocate.violations import MAX_WORD, Violations, shown
from hwprovisioner.v1 import demand_pb2, resource_pb2

MAX_INSTANCES = 10_000
MAX_PROPERTIES = 64
MAX_PROPERTY = 16_384
"""Enough for a private key."""


def check_spec(field: str, spec: resource_pb2.ResourceSpec, violations: Violations) -> None:
    """Note what is wrong with a manager's description of a resource."""
    violations.name(f"{field}.name", spec.name)
    if spec.kind not in KIND_NAMES:
        known = ", ".join(f"{number} ({name})" for number, name in KIND_NAMES.items())
        violations.add(f"{field}.kind", f"is {spec.kind}, must be one of {known}")
    violations.number(f"{field}.cpus", spec.cpus, 0, MAX_NUMBER)
    violations.number(f"{field}.memory_bytes", spec.memory_bytes, 0, MAX_NUMBER)
    violations.text(f"{field}.driver", spec.driver, MAX_WORD)
    _check_gpus(f"{field}.gpus", spec, violations)
    for name in ("family", "distro", "version"):
        violations.text(f"{field}.os.{name}", getattr(spec.os, name), MAX_WORD)
    if len(spec.labels) > MAX_LABELS:
        violations.add(
            f"{field}.labels", f"has {len(spec.labels):,} labels, at most {MAX_LABELS} are allowed"
        )
    else:
        for label, value in spec.labels.items():
            violations.name(f"{field}.labels[{shown(label)}]", label, LABEL)
            violations.text(f"{field}.labels[{shown(label)}]", value, MAX_WORD)
    if spec.HasField("division"):
        division, path = spec.division, f"{field}.division"
        violations.number(f"{path}.instances", division.instances, 1, MAX_INSTANCES)
        violations.number(f"{path}.default_cpus", division.default_cpus, 0, MAX_NUMBER)
        violations.number(
            f"{path}.default_memory_bytes", division.default_memory_bytes, 0, MAX_NUMBER
        )


def _check_gpus(field: str, spec: resource_pb2.ResourceSpec, violations: Violations) -> None:
    if len(spec.gpus) > MAX_CARDS:
        violations.add(field, f"has {len(spec.gpus):,} cards, at most {MAX_CARDS} are allowed")
        return
    for index, gpu in enumerate(spec.gpus):
        violations.text(f"{field}[{index}].brand", gpu.brand, MAX_WORD)
        violations.text(f"{field}[{index}].model", gpu.model, MAX_WORD)
        violations.number(f"{field}[{index}].memory_bytes", gpu.memory_bytes, 0, MAX_NUMBER)


def check_connection(
    field: str, connection: resource_pb2.Connection, violations: Violations
) -> None:
    """Note what is wrong with a manager's word on how to reach a host."""
    violations.text(f"{field}.protocol", connection.protocol, MAX_WORD)
    violations.text(f"{field}.address", connection.address)
    violations.number(f"{field}.port", connection.port, 0, 65_535)
    violations.text(f"{field}.user", connection.user, MAX_WORD)
    violations.text(f"{field}.key_file", connection.key_file)
    if len(connection.properties) > MAX_PROPERTIES:
        count = f"has {len(connection.properties):,} properties"
        violations.add(f"{field}.properties", f"{count}, at most {MAX_PROPERTIES} are allowed")
        return
    for name, value in connection.properties.items():
        violations.text(f"{field}.properties[{shown(name)}]", name, MAX_WORD)
        violations.text(f"{field}.properties[{shown(name)}]", value, MAX_PROPERTY)


def to_json(message: resource_pb2.ResourceSpec | demand_pb2.Demands) -> str:
    """Return a message as it is stored: equal messages give equal texts."""
    return json_format.MessageToJson(message, indent=None, sort_keys=True)


@functools.lru_cache(maxsize=200_000)
def spec_message(text: str) -> resource_pb2.ResourceSpec:
    """Return a stored description of a resource as message; not to be changed."""
    return json_format.Parse(text, resource_pb2.ResourceSpec(), ignore_unknown_fields=True)


@functools.lru_cache(maxsize=200_000)
def stored_spec(text: str) -> Spec:
    """Return a stored description of a resource."""
    spec = spec_message(text)
    division = None
    if spec.HasField("division"):
        division = Division(
            spec.division.instances,
            # A share that is more than all there is could never be had.
            min(spec.division.default_cpus or 1, spec.cpus),
            min(spec.division.default_memory_bytes, spec.memory_bytes),
        )
    return Spec(
        name=spec.name,
        kind=KIND_NAMES.get(spec.kind, ""),
        cpus=spec.cpus,
        memory=spec.memory_bytes,
        gpus=tuple(_cards(spec.gpus)),
        family=spec.os.family.lower(),
        distro=spec.os.distro.lower(),
        version=spec.os.version,
        labels=frozenset(spec.labels.items()),
        division=division,
    )


def _cards(gpus: Iterable[resource_pb2.Gpu]) -> Iterable[Gpu]:
    return (Gpu(gpu.brand.lower(), gpu.model.lower(), gpu.memory_bytes) for gpu in gpus)


@functools.lru_cache(maxsize=200_000)
def demands_message(text: str) -> demand_pb2.Demands:
    """Return stored demands as message; not to be changed."""
    return json_format.Parse(text, demand_pb2.Demands(), ignore_unknown_fields=True)


@functools.lru_cache(maxsize=200_000)
def stored_demands(text: str) -> dict[str, HostDemand]:
    """Return stored demands by host; not to be changed."""
    return read_demands(demands_message(text))
