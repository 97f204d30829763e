"""Reading what managers say about resources, from the stream and from the lab's state.

What is stored of a resource's description leaves out its name, so that equal machines have equal
texts and are read once.
"""

import functools
from collections.abc import Iterable, Mapping

from google.protobuf import json_format

from hwprovisioner.allocate.demand import Division, Gpu, Makes, Spec, System
from hwprovisioner.allocate.notation import MAX_NUMBER
from hwprovisioner.allocate.violations import LABEL, MAX_WORD, Violations, shown
from hwprovisioner.v1 import demand_pb2, resource_pb2

MAX_CARDS = 64
MAX_IMAGES = 256
MAX_INSTANCES = 10_000
MAX_LABELS = 64
MAX_PARAMETERS = 64
MAX_PROPERTIES = 64
MAX_PROPERTY = 16_384
"""Enough for a private key."""
MAX_SYSTEMS = 64

KIND_NAMES: Mapping[int, str] = {
    number: name.removeprefix("RESOURCE_KIND_").lower().replace("_", "-")
    for name, number in resource_pb2.ResourceKind.items()
    if number
}
"""The kinds of resource by their numbers in the contract: ``virtual-machine`` and so on."""


def check_kind(field: str, kind: int, violations: Violations) -> str:
    """Return the name of a kind; one that is not known is noted, and has an empty name."""
    if kind not in KIND_NAMES:
        known = ", ".join(f"{number} ({name})" for number, name in KIND_NAMES.items())
        violations.add(field, f"is {kind}, must be one of {known}")
    return KIND_NAMES.get(kind, "")


def check_spec(field: str, spec: resource_pb2.ResourceSpec, violations: Violations) -> None:
    """Note what is wrong with a manager's description of a resource."""
    violations.name(f"{field}.name", spec.name)
    check_kind(f"{field}.kind", spec.kind, violations)
    violations.number(f"{field}.cpus", spec.cpus, 0, MAX_NUMBER)
    violations.number(f"{field}.memory_bytes", spec.memory_bytes, 0, MAX_NUMBER)
    violations.text(f"{field}.driver", spec.driver, MAX_WORD)
    _check_gpus(f"{field}.gpus", spec, violations)
    _check_os(f"{field}.os", spec.os, violations)
    if violations.few(f"{field}.labels", spec.labels, MAX_LABELS, "labels"):
        for label, value in spec.labels.items():
            violations.name(f"{field}.labels[{shown(label)}]", label, LABEL)
            violations.text(f"{field}.labels[{shown(label)}]", value, MAX_WORD)
    if spec.HasField("division"):
        _check_division(f"{field}.division", spec.division, violations)
    if spec.HasField("makes"):
        _check_makes(f"{field}.makes", spec.makes, violations)


def _check_gpus(field: str, spec: resource_pb2.ResourceSpec, violations: Violations) -> None:
    if not violations.few(field, spec.gpus, MAX_CARDS, "cards"):
        return
    for index, gpu in enumerate(spec.gpus):
        violations.text(f"{field}[{index}].brand", gpu.brand, MAX_WORD)
        violations.text(f"{field}[{index}].model", gpu.model, MAX_WORD)
        violations.number(f"{field}[{index}].memory_bytes", gpu.memory_bytes, 0, MAX_NUMBER)


def _check_os(field: str, os: resource_pb2.Os, violations: Violations) -> None:
    for name in ("family", "distro", "version", "kernel"):
        violations.text(f"{field}.{name}", getattr(os, name), MAX_WORD)


def _check_division(field: str, division: resource_pb2.Division, violations: Violations) -> None:
    violations.number(f"{field}.instances", division.instances, 1, MAX_INSTANCES)
    violations.number(f"{field}.default_cpus", division.default_cpus, 0, MAX_NUMBER)
    violations.number(f"{field}.default_memory_bytes", division.default_memory_bytes, 0, MAX_NUMBER)


def _check_makes(field: str, makes: resource_pb2.Makes, violations: Violations) -> None:
    if violations.few(f"{field}.images", makes.images, MAX_IMAGES, "images"):
        for index, image in enumerate(makes.images):
            violations.text(f"{field}.images[{index}]", image, MAX_WORD)
            if not image:
                violations.add(f"{field}.images[{index}]", "is empty: give the image a name")
    if violations.few(f"{field}.systems", makes.systems, MAX_SYSTEMS, "operating systems"):
        for index, system in enumerate(makes.systems):
            _check_os(f"{field}.systems[{index}]", system, violations)
    violations.number(f"{field}.disk_bytes", makes.disk_bytes, 0, MAX_NUMBER)
    if violations.few(f"{field}.parameters", makes.parameters, MAX_PARAMETERS, "parameters"):
        for index, name in enumerate(makes.parameters):
            violations.name(f"{field}.parameters[{index}]", name, LABEL)


def check_connection(
    field: str, connection: resource_pb2.Connection, violations: Violations
) -> None:
    """Note what is wrong with a manager's word on how to reach a host."""
    violations.text(f"{field}.protocol", connection.protocol, MAX_WORD)
    violations.text(f"{field}.address", connection.address)
    violations.number(f"{field}.port", connection.port, 0, 65_535)
    violations.text(f"{field}.user", connection.user, MAX_WORD)
    violations.text(f"{field}.key_file", connection.key_file)
    path = f"{field}.properties"
    if violations.few(path, connection.properties, MAX_PROPERTIES, "properties"):
        for name, value in connection.properties.items():
            violations.text(f"{path}[{shown(name)}]", name, MAX_WORD)
            violations.text(f"{path}[{shown(name)}]", value, MAX_PROPERTY)


def to_json(message: resource_pb2.ResourceSpec | demand_pb2.Demands) -> str:
    """Return a message as it is stored: equal messages give equal texts."""
    return _json_of(message.DESCRIPTOR.name, message.SerializeToString(deterministic=True))


# The same machine is described when its manager registers and when it volunteers it, others are
# like it, and the same is asked for again and again.
@functools.lru_cache(maxsize=2_000)
def _json_of(kind: str, data: bytes) -> str:
    message = _STORED[kind].FromString(data)
    return json_format.MessageToJson(message, indent=None, sort_keys=True)


def spec_text(message: resource_pb2.ResourceSpec) -> str:
    """Return a description as it is stored, without the name: equal machines have equal texts."""
    nameless = resource_pb2.ResourceSpec()
    nameless.CopyFrom(message)
    nameless.ClearField("name")
    return to_json(nameless)


def spec_message(text: str, name: str) -> resource_pb2.ResourceSpec:
    """Return a stored description of the resource of that name as message, the caller's own."""
    message = resource_pb2.ResourceSpec()
    message.CopyFrom(_nameless(text))
    message.name = name
    return message


def _parsed(text: str) -> resource_pb2.ResourceSpec:
    return json_format.Parse(text, resource_pb2.ResourceSpec(), ignore_unknown_fields=True)


# Matching reads each text once and keeps what it read: messages are for those that lists show.
_nameless = functools.lru_cache(maxsize=10_000)(_parsed)


@functools.lru_cache(maxsize=200_000)
def stored_spec(text: str) -> Spec:
    """Return a stored description of a resource: the same object for equal texts."""
    spec = _parsed(text)
    return Spec(
        kind=KIND_NAMES.get(spec.kind, ""),
        cpus=spec.cpus,
        memory=spec.memory_bytes,
        gpus=tuple(_cards(spec.gpus)),
        system=_system(spec.os),
        labels=frozenset(spec.labels.items()),
        division=_division(spec) if spec.HasField("division") else None,
        makes=_makes(spec.makes) if spec.HasField("makes") else None,
    )


def _cards(gpus: Iterable[resource_pb2.Gpu]) -> Iterable[Gpu]:
    return (Gpu(gpu.brand.lower(), gpu.model.lower(), gpu.memory_bytes) for gpu in gpus)


def _system(os: resource_pb2.Os) -> System:
    return System(os.family.lower(), os.distro.lower(), os.version.lower())


def _division(spec: resource_pb2.ResourceSpec) -> Division:
    return Division(
        spec.division.instances,
        # A share that is more than all there is could never be had.
        min(spec.division.default_cpus or 1, spec.cpus),
        min(spec.division.default_memory_bytes, spec.memory_bytes),
    )


def _makes(makes: resource_pb2.Makes) -> Makes:
    return Makes(
        images=frozenset(makes.images),
        systems=tuple(_system(os) for os in makes.systems),
        disk=makes.disk_bytes,
        parameters=frozenset(makes.parameters),
    )


_STORED: Mapping[str, type[resource_pb2.ResourceSpec | demand_pb2.Demands]] = {
    kind.DESCRIPTOR.name: kind for kind in (resource_pb2.ResourceSpec, demand_pb2.Demands)
}
