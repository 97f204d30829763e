"""From what a test writes to the contract's demands: a pure conversion, in this one place.

A host is described by keywords: `kind`/`kinds`, `cpus`, `memory`, `gpus`, `os`, `labels`,
`resource`. Numbers may be ints (a minimum) or text such as `>=8`, `==8`, `4..8`, `16GiB`. Whether a
number or an amount makes sense is the lab's to say, field by field; what cannot even be sent is
found here, and so is every unknown key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from hwprovisioner.client.errors import BadDemand, Violation
from hwprovisioner.client.guessing import did_you_mean
from hwprovisioner.client.known_keys import GPU_KEYS, HOST_KEYS, LONE_HOST, OS_KEYS
from hwprovisioner.client.words import kind_value
from hwprovisioner.v1.demand_pb2 import Demands, GpuDemand, HostDemand, OsDemand

Hosts = Mapping[str, Mapping[str, object]]
"""Host names and what each host must be."""


def read_demands(demands: Demands | Hosts | None, keywords: Mapping[str, object]) -> Demands:
    """Brings everything that `allocate` takes to the contract's message.

    Args:
        demands: A finished message, or hosts by name; None when keywords say it.
        keywords: Either the keys of one host, which is then called `host`, or hosts by name.

    Raises:
        BadDemand: With one violation for each thing that is wrong.
    """
    if isinstance(demands, Demands):
        _only_one_way(keywords)
        return demands
    if demands is not None:
        _only_one_way(keywords)
        return build(demands)
    return build(as_hosts(keywords))


def as_hosts(keywords: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    """Tells the keys of one host from hosts by name.

    A mapping under a name that is no key of a host is a host; anything else describes the one host
    called `host`.

    Raises:
        BadDemand: Both kinds are mixed, or a key is not known.
    """
    hosts = {
        name: value
        for name, value in keywords.items()
        if isinstance(value, Mapping) and name not in HOST_KEYS
    }
    lone = {name: value for name, value in keywords.items() if name not in hosts}
    if not hosts:
        return {LONE_HOST: lone}
    if not lone:
        return hosts
    name = next(iter(lone))
    if name in HOST_KEYS:
        what = (
            f"{name!r} describes one host, but {next(iter(hosts))!r} is a host of its own; write"
            f" {next(iter(hosts))}={{{name!r}: ...}}"
        )
    else:
        what = f"host {name!r} must be a mapping of demand keys, not {lone[name]!r}"
    raise _refused([Violation(name, what)])


def build(hosts: Hosts) -> Demands:
    """Converts hosts by name to the contract's message.

    Raises:
        BadDemand: With one violation for each thing that is wrong.
    """
    violations: list[Violation] = []
    built = {name: _host(name, keys, violations) for name, keys in hosts.items()}
    if violations:
        raise _refused(violations)
    return Demands(hosts=built)


def build_host(keys: Mapping[str, object]) -> HostDemand:
    """Converts the keys of one host.

    Raises:
        BadDemand: With one violation for each thing that is wrong.
    """
    return build({LONE_HOST: keys}).hosts[LONE_HOST]


def _host(name: str, keys: object, violations: list[Violation]) -> HostDemand:
    demand = HostDemand()
    if not isinstance(keys, Mapping):
        what = f"host {name!r} must be a mapping of demand keys, not {keys!r}"
        violations.append(Violation(name, what))
        return demand
    for key, value in keys.items():
        path = f"{name}.{key}"
        if (fill := _FILLERS.get(key)) is None:
            violations.append(Violation(path, unknown_key(key, HOST_KEYS, "demand key")))
        elif value is not None:
            _tried(lambda f=fill, v=value: f(demand, v), path, violations)  # type: ignore[misc]
    return demand


def unknown_key(key: str, known: Iterable[str], what: str) -> str:
    """Says that a key is not known, what may have been meant, and what the known ones are."""
    known = list(known)
    return f"unknown {what} {key!r}{did_you_mean(key, known)} (known: {', '.join(known)})"


def _tried(step: Callable[[], None], path: str, violations: list[Violation]) -> None:
    try:
        step()
    except BadDemand as bad:
        violations.append(Violation(path, bad.message))


def _kinds(demand: HostDemand, value: object) -> None:
    demand.kinds.extend(kind_value(kind) for kind in _texts(value))


def _cpus(demand: HostDemand, value: object) -> None:
    demand.cpus = _number(value)


def _memory(demand: HostDemand, value: object) -> None:
    demand.memory = _number(value)


def _gpus(demand: HostDemand, value: object) -> None:
    if isinstance(value, int) and not isinstance(value, bool):
        if value:
            demand.gpus.append(GpuDemand(count=_count(value)))
        return
    for entry in [value] if isinstance(value, Mapping | str) else _listed(value):
        demand.gpus.append(_gpu(entry))


def _gpu(entry: object) -> GpuDemand:
    if isinstance(entry, str):
        return GpuDemand(model=entry)
    keys = _keyed(entry, GPU_KEYS, "gpu key", "a model such as 'rtx4000' or a mapping")
    return GpuDemand(
        brand=_text(keys.get("brand", "")),
        model=_text(keys.get("model", "")),
        memory=_number(keys.get("memory", "")),
        count=_count(keys.get("count", 0)),
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
    keys = _keyed(value, OS_KEYS, "os key", "text such as 'ubuntu 22.04' or a mapping")
    demand.os.CopyFrom(OsDemand(**{key: _text(part) for key, part in keys.items()}))


def _labels(demand: HostDemand, value: object) -> None:
    if isinstance(value, Mapping):
        demand.labels.extend(
            _text(name) if worth in (None, "", True) else f"{_text(name)}={_text(worth)}"
            for name, worth in value.items()
        )
    else:
        demand.labels.extend(_texts(value))


def _resource(demand: HostDemand, value: object) -> None:
    demand.resource = _text(value)


_FILLERS: Mapping[str, Callable[[HostDemand, object], None]] = {
    "kind": _kinds,
    "kinds": _kinds,
    "cpus": _cpus,
    "memory": _memory,
    "gpus": _gpus,
    "os": _os,
    "labels": _labels,
    "resource": _resource,
}
assert tuple(_FILLERS) == HOST_KEYS


def _number(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value.strip()
    raise BadDemand(f"{value!r} is no number; write an int or text such as '>=8' or '16GiB'")


def _count(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 64:
        return value
    raise BadDemand(f"{value!r} is no count of cards; write 1 to 64")


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise BadDemand(f"{value!r} is no text")


def _texts(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [_text(part) for part in _listed(value)]


def _listed(value: object) -> list[object]:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return list(value)
    raise BadDemand(f"{value!r} is neither text nor a list")


def _keyed(value: object, known: tuple[str, ...], what: str, wanted: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise BadDemand(f"{value!r} is not {wanted}")
    for key in value:
        if key not in known:
            raise BadDemand(unknown_key(str(key), known, what))
    return value


def _only_one_way(keywords: Mapping[str, object]) -> None:
    if keywords:
        name = next(iter(keywords))
        what = f"give either `demands` or keywords, not both (here `demands` and {name!r})"
        raise _refused([Violation("demands", what)])


def _refused(violations: list[Violation]) -> BadDemand:
    said = "; ".join(f"{violation.field}: {violation.description}" for violation in violations)
    return BadDemand(f"bad demand: {said}", reason="BAD_DEMAND", violations=violations)
