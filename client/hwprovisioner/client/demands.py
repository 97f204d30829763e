"""From what a test writes to the contract's demands: a pure conversion, in this one place.

A host is described by keywords, listed in `known_keys`. Numbers may be ints (a minimum) or text
such as `>=8`, `==8`, `4..8`, `16GiB`. Beside the hosts, `same` and `different` say what they have
to do with one another. Whether a number, an amount or an expression makes sense is the lab's to
say, field by field; what cannot even be sent is found here, and so is every unknown key.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwprovisioner.client.errors import BadDemand, Violation
from hwprovisioner.client.host_keys import host_demand
from hwprovisioner.client.known_keys import HOST_KEYS, LONE_HOST, RELATION_KEYS
from hwprovisioner.client.relations import read_relations
from hwprovisioner.v1.demand_pb2 import Demands, HostDemand

DemandMapping = Mapping[str, object]
"""Host names and what each host must be; `same` and `different` may stand beside them."""


def read_demands(demands: Demands | DemandMapping | None, keywords: DemandMapping) -> Demands:
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


def as_hosts(keywords: DemandMapping) -> dict[str, object]:
    """Tells the keys of one host from hosts by name.

    A mapping under a name that is no key of a host is a host; anything else describes the one host
    called `host`. `same` and `different` may stand beside either.

    Raises:
        BadDemand: Both kinds are mixed, or a key is not known.
    """
    relations = {name: value for name, value in keywords.items() if name in RELATION_KEYS}
    hosts = {
        name: value
        for name, value in keywords.items()
        if isinstance(value, Mapping) and name not in (*HOST_KEYS, *RELATION_KEYS)
    }
    lone = {name: value for name, value in keywords.items() if name not in {*hosts, *relations}}
    if not hosts:
        return {LONE_HOST: lone, **relations}
    if not lone:
        return {**hosts, **relations}
    name = next(iter(lone))
    if name in HOST_KEYS:
        what = (
            f"{name!r} describes one host, but {next(iter(hosts))!r} is a host of its own; write"
            f" {next(iter(hosts))}={{{name!r}: ...}}"
        )
    else:
        what = f"host {name!r} must be a mapping of demand keys, not {lone[name]!r}"
    raise _refused([Violation(name, what)])


def build(demands: DemandMapping) -> Demands:
    """Converts hosts by name, and what they have to do with one another.

    Raises:
        BadDemand: With one violation for each thing that is wrong.
    """
    violations: list[Violation] = []
    hosts = {
        name: host_demand(name, keys, violations)
        for name, keys in demands.items()
        if name not in RELATION_KEYS
    }
    said = {name: demands[name] for name in RELATION_KEYS if name in demands}
    relations = read_relations(said, hosts, violations)
    if violations:
        raise _refused(violations)
    return Demands(hosts=hosts, relations=relations)


def build_host(keys: Mapping[str, object]) -> HostDemand:
    """Converts the keys of one host.

    Raises:
        BadDemand: With one violation for each thing that is wrong.
    """
    return build({LONE_HOST: keys}).hosts[LONE_HOST]


def _only_one_way(keywords: DemandMapping) -> None:
    if keywords:
        name = next(iter(keywords))
        what = f"give either `demands` or keywords, not both (here `demands` and {name!r})"
        raise _refused([Violation("demands", what)])


def _refused(violations: list[Violation]) -> BadDemand:
    said = "; ".join(f"{violation.field}: {violation.description}" for violation in violations)
    return BadDemand(f"bad demand: {said}", reason="BAD_DEMAND", violations=violations)
