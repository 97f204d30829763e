"""The keys of one host, and of its alternatives, to the contract's message."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hwprovisioner.client.errors import BadDemand, Violation
from hwprovisioner.client.known_keys import (
    ALTERNATIVE_KEYS,
    GPU_KEYS,
    HOST_KEYS,
    OS_KEYS,
    PROVISIONING_KEYS,
)
from hwprovisioner.client.reading import count, keyed, listed, number, text, texts, unknown_key
from hwprovisioner.client.words import kind_value
from hwprovisioner.v1.demand_pb2 import GpuDemand, HostDemand, OsDemand, Provisioning

MOST_ALTERNATIVES = 8
"""As many as the lab takes."""


def host_demand(name: str, keys: object, violations: list[Violation]) -> HostDemand:
    """Converts the keys of one host.

    Args:
        name: What the host is called.
        keys: A mapping, one hopes.
        violations: Gets one more for each thing that is wrong.
    """
    if not isinstance(keys, Mapping):
        what = f"host {name!r} must be a mapping of demand keys, not {keys!r}"
        violations.append(Violation(name, what))
        return HostDemand()
    demand = _filled(name, {k: v for k, v in keys.items() if k != "any_of"}, HOST_KEYS, violations)
    if keys.get("any_of") is not None:
        demand.any_of.extend(_alternatives(f"{name}.any_of", keys["any_of"], violations))
    return demand


def _filled(
    path: str, keys: Mapping[str, object], known: tuple[str, ...], violations: list[Violation]
) -> HostDemand:
    demand = HostDemand()
    for key, value in keys.items():
        try:
            if key not in known:
                raise BadDemand(unknown_key(str(key), known, "demand key"))
            if value is not None:
                _FILLERS[key](demand, value)
        except BadDemand as bad:
            violations.append(Violation(f"{path}.{key}", bad.message))
    return demand


def _alternatives(path: str, value: object, violations: list[Violation]) -> list[HostDemand]:
    wrong = f"{value!r} is no list of mappings of demand keys, the first choice first"
    if isinstance(value, Mapping | str):
        violations.append(Violation(path, wrong))
        return []
    try:
        choices = listed(value)
    except BadDemand:
        violations.append(Violation(path, wrong))
        return []
    if len(choices) > MOST_ALTERNATIVES:
        what = f"{len(choices)} alternatives are too many; at most {MOST_ALTERNATIVES} are taken"
        violations.append(Violation(path, what))
    return [_alternative(f"{path}[{n}]", each, violations) for n, each in enumerate(choices)]


def _alternative(path: str, keys: object, violations: list[Violation]) -> HostDemand:
    if isinstance(keys, Mapping):
        return _filled(path, keys, ALTERNATIVE_KEYS, violations)
    violations.append(Violation(path, f"{keys!r} is no mapping of demand keys"))
    return HostDemand()


def _kinds(demand: HostDemand, value: object) -> None:
    demand.kinds.extend(kind_value(kind) for kind in texts(value))


def _cpus(demand: HostDemand, value: object) -> None:
    demand.cpus = number(value)


def _memory(demand: HostDemand, value: object) -> None:
    demand.memory = number(value)


def _gpus(demand: HostDemand, value: object) -> None:
    if isinstance(value, int) and not isinstance(value, bool):
        if value:
            demand.gpus.append(GpuDemand(count=count(value, "cards")))
        return
    for entry in [value] if isinstance(value, Mapping | str) else listed(value):
        demand.gpus.append(_gpu(entry))


def _gpu(entry: object) -> GpuDemand:
    if isinstance(entry, str):
        return GpuDemand(model=entry)
    keys = keyed(entry, GPU_KEYS, "gpu key", "a model such as 'rtx4000' or a mapping")
    return GpuDemand(
        brand=text(keys.get("brand", "")),
        model=text(keys.get("model", "")),
        memory=number(keys.get("memory", "")),
        count=count(keys.get("count", 0), "cards", least=0),
    )


def _os(demand: HostDemand, value: object) -> None:
    """`os="ubuntu"` and `os="ubuntu 22.04"` name a distribution, `linux` and `windows` a family."""
    if isinstance(value, str):
        name, _, version = value.strip().partition(" ")
        if name.lower() in ("linux", "windows", "macos", "darwin"):
            demand.os.CopyFrom(OsDemand(family=name, version=version.strip()))
        else:
            demand.os.CopyFrom(OsDemand(distro=name, version=version.strip()))
        return
    keys = keyed(value, OS_KEYS, "os key", "text such as 'ubuntu 22.04' or a mapping")
    demand.os.CopyFrom(OsDemand(**{key: text(part) for key, part in keys.items()}))


def _labels(demand: HostDemand, value: object) -> None:
    if isinstance(value, Mapping):
        demand.labels.extend(
            text(name) if worth in (None, "", True) else f"{text(name)}={text(worth)}"
            for name, worth in value.items()
        )
    else:
        demand.labels.extend(texts(value))


def _resource(demand: HostDemand, value: object) -> None:
    demand.resource = text(value)


def _not_resources(demand: HostDemand, value: object) -> None:
    demand.not_resources.extend(texts(value))


def _where(demand: HostDemand, value: object) -> None:
    if not isinstance(value, str):
        raise BadDemand(f"{value!r} is no expression; write text such as 'resource.cpus % 4 == 0'")
    demand.where = value


def _provisioning(demand: HostDemand, value: object) -> None:
    example = "a mapping such as {'image': 'ubuntu-22.04', 'disk': '20GiB'}"
    keys = keyed(value, PROVISIONING_KEYS, "provisioning key", example)
    parameters = keys.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise BadDemand(f"parameters: {parameters!r} is no mapping of names to values")
    demand.provisioning.CopyFrom(
        Provisioning(
            image=text(keys.get("image") or ""),
            disk=number(keys.get("disk") or ""),
            parameters={text(name): text(worth) for name, worth in parameters.items()},
        )
    )


def _host_count(demand: HostDemand, value: object) -> None:
    demand.count = count(value, "hosts")


_FILLERS: Mapping[str, Callable[[HostDemand, object], None]] = {
    "kind": _kinds,
    "kinds": _kinds,
    "cpus": _cpus,
    "memory": _memory,
    "gpus": _gpus,
    "os": _os,
    "labels": _labels,
    "resource": _resource,
    "not_resources": _not_resources,
    "where": _where,
    "provisioning": _provisioning,
    "count": _host_count,
}
assert (*_FILLERS, "any_of") == HOST_KEYS
