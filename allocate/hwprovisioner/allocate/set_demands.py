"""Reading a set of demands: its hosts, each copy by its own name, and the relations of them."""

import functools
import hashlib
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from google.protobuf import json_format

from hwprovisioner.allocate import host_demands
from hwprovisioner.allocate.demand import HostDemand, Relation, RelationKind, SetDemand
from hwprovisioner.allocate.host_demands import host_demand
from hwprovisioner.allocate.specs import to_json
from hwprovisioner.allocate.violations import LABEL, Violations, shown
from hwprovisioner.v1 import demand_pb2

MAX_HOSTS = 64
MAX_RELATIONS = 16
_MAX_HOST_NAME = 63
_CLASS_ID_DIGITS = 16
_MOST_KNOWN, _LONGEST_KNOWN = 10_000, 4_096
"""So many demands are known by what they read as, of at most so many bytes."""

_HOST = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_RELATION_KINDS: Mapping[int, RelationKind] = {
    demand_pb2.RELATION_KIND_SAME: RelationKind.SAME,
    demand_pb2.RELATION_KIND_DIFFERENT: RelationKind.DIFFERENT,
}


def read_set(demands: demand_pb2.Demands) -> SetDemand:
    """Read a set of demands, or refuse it."""
    violations = Violations()
    result = set_demand("demands", demands, violations)
    violations.check()
    return result


def set_demand(field: str, demands: demand_pb2.Demands, violations: Violations) -> SetDemand:
    """Read a set of demands, and note what is wrong with it."""
    return _known(demands)[0] or _read(field, demands, violations)


def text_of(demands: demand_pb2.Demands) -> str:
    """Return demands as they are stored: equal messages give equal texts."""
    return _known(demands)[1] or to_json(demands)


def _known(demands: demand_pb2.Demands) -> tuple[SetDemand | None, str]:
    """Return what was read before, with its text: most requests ask for what others have."""
    data = demands.SerializeToString(deterministic=True)
    return _in_order(data) if len(data) <= _LONGEST_KNOWN else (None, "")


@functools.lru_cache(maxsize=_MOST_KNOWN)
def _in_order(data: bytes) -> tuple[SetDemand | None, str]:
    demands, violations = demand_pb2.Demands.FromString(data), Violations()
    found = _read("demands", demands, violations)
    return (None, "") if violations else (found, to_json(demands))


def _read(field: str, demands: demand_pb2.Demands, violations: Violations) -> SetDemand:
    if not 1 <= len(demands.hosts) <= MAX_HOSTS:
        _note_size(field, len(demands.hosts), violations)
        return SetDemand({})
    hosts = dict[str, HostDemand]()
    copies = dict[str, Sequence[str]]()
    for name in sorted(demands.hosts):
        path, demand = f"{field}.hosts[{shown(name)}]", demands.hosts[name]
        violations.name(path, name, _HOST)
        copies[name] = _copies(path, name, demand.count, violations)
        if name in hosts:
            violations.add(path, "a copy of a host with a count is called so, too: rename one")
        hosts |= dict.fromkeys(copies[name], host_demand(path, demand, violations))
    if len(hosts) > MAX_HOSTS:
        _note_size(field, len(hosts), violations)
    return SetDemand(hosts, _relations(field, demands.relations, hosts, copies, violations))


def demands_message(text: str) -> demand_pb2.Demands:
    """Return stored demands as message; not to be changed."""
    return _message(text)


@functools.lru_cache(maxsize=200_000)
def stored_set(text: str) -> SetDemand:
    """Return stored demands: the same object for equal texts.

    They were checked when they came, so what would be refused by now is read all the same. An
    expression that no longer compiles is true of nothing, see `matching.py`.
    """
    return set_demand("demands", _parsed(text), Violations())


def host_message(text: str, host: str, option: int) -> demand_pb2.HostDemand:
    """Return what stored demands ask of a host with one of its options, as a message of its own.

    Args:
        text: the stored demands.
        host: the name of the host; a copy's if it has a count.
        option: the place in `HostDemand.options`.
    """
    for name, demand in _message(text).hosts.items():
        if host in _copy_names(name, demand.count):
            return host_demands.option_message(demand, option)
    return demand_pb2.HostDemand()


def class_id(text: str) -> str:
    """Return the name of the matching class of stored demands: a digest of 16 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:_CLASS_ID_DIGITS]


def _parsed(text: str) -> demand_pb2.Demands:
    return json_format.Parse(text, demand_pb2.Demands(), ignore_unknown_fields=True)


# Deciding reads each text once and keeps what it read: messages are for those that lists show.
_message = functools.lru_cache(maxsize=10_000)(_parsed)


def _note_size(field: str, count: int, violations: Violations) -> None:
    said = f"has {count:,} hosts, copies counted: must have from 1 to {MAX_HOSTS}"
    violations.add(f"{field}.hosts", said)


def _copy_names(name: str, count: int) -> Sequence[str]:
    return [name] if count <= 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def _copies(path: str, name: str, count: int, violations: Violations) -> Sequence[str]:
    """Return the names of the copies of a host."""
    violations.number(f"{path}.count", count, 0, MAX_HOSTS)
    names = _copy_names(name, min(count, MAX_HOSTS))
    if len(names[-1]) > _MAX_HOST_NAME >= len(name):
        violations.add(
            f"{path}.count",
            f"the last copy's name would have {len(names[-1])} characters, at most"
            f" {_MAX_HOST_NAME} are allowed: shorten the host's name",
        )
    return names


def _relations(
    field: str,
    relations: Sequence[demand_pb2.Relation],
    hosts: Mapping[str, HostDemand],
    copies: Mapping[str, Sequence[str]],
    violations: Violations,
) -> tuple[Relation, ...]:
    path = f"{field}.relations"
    if not violations.few(path, relations, MAX_RELATIONS, "relations"):
        return ()
    found = [
        relation
        for index, message in enumerate(relations)
        if (relation := _relation(f"{path}[{index}]", message, copies, violations))
    ]
    for fault in itertools.chain(_torn(found), _fixed(found, hosts)):
        violations.add(path, fault)
    return tuple(sorted(set(found), key=lambda each: (each.label, each.kind, each.hosts)))


def _relation(
    path: str,
    relation: demand_pb2.Relation,
    copies: Mapping[str, Sequence[str]],
    violations: Violations,
) -> Relation | None:
    """Return a relation, None if it relates nothing."""
    kind = _RELATION_KINDS.get(relation.kind)
    if kind is None:
        known = ", ".join(f"{number} ({kind})" for number, kind in _RELATION_KINDS.items())
        violations.add(f"{path}.kind", f"is {relation.kind}, must be one of {known}")
    violations.name(f"{path}.label", relation.label, LABEL)
    names = _related(f"{path}.hosts", relation.hosts, copies, violations)
    if kind is None or names is None:
        return None
    hosts = sorted({copy for name in names for copy in copies[name]})
    if len(hosts) > 1:
        return Relation(kind, relation.label, tuple(hosts))
    said = f"relates {len(hosts)} host, copies counted: name two or more, or drop the relation"
    violations.add(f"{path}.hosts", said)
    return None


def _related(
    path: str,
    names: Collection[str],
    copies: Mapping[str, Sequence[str]],
    violations: Violations,
) -> Collection[str] | None:
    """Return which hosts of the demands are related, None if some are not there."""
    if not violations.few(path, names, MAX_HOSTS, "hosts"):
        return None
    unknown = [(index, name) for index, name in enumerate(names) if name not in copies]
    for index, name in unknown:
        violations.add(
            f"{path}[{index}]",
            f"{shown(name)} is no host of these demands: name one as the demands do",
        )
    return None if unknown else names or copies.keys()


def _torn(relations: Iterable[Relation]) -> Iterator[str]:
    """Yield what two relations ask for that cannot both be."""
    by_label = sorted(relations, key=lambda each: each.label)
    for label, group in itertools.groupby(by_label, key=lambda each: each.label):
        same, different = list[frozenset[str]](), list[frozenset[str]]()
        for relation in group:
            hosts = frozenset(relation.hosts)
            if relation.kind is RelationKind.DIFFERENT:
                different.append(hosts)
                continue
            # What has the value of the same host has the same value.
            joined = [other for other in same if other & hosts]
            same = [other for other in same if not other & hosts] + [hosts.union(*joined)]
        for one, other in itertools.product(same, different):
            if len(both := sorted(one & other)) > 1:
                yield (
                    f"{both[0]!r} and {both[1]!r} are to have the same {label} and different"
                    f" ones: drop one of the relations"
                )


def _fixed(relations: Iterable[Relation], hosts: Mapping[str, HostDemand]) -> Iterator[str]:
    """Yield what relations ask for that the hosts' own labels rule out."""
    for relation in relations:
        known = dict[str, str]()
        for host in relation.hosts:
            value = _only_value(hosts[host], relation.label)
            if value is None:
                continue
            for other, its in known.items():
                if (its == value) != (relation.kind is RelationKind.SAME):
                    yield (
                        f"{other!r} and {host!r} are to have {relation.kind} values of"
                        f" {relation.label}, but ask for {shown(its)} and {shown(value)}:"
                        " drop the relation or a label"
                    )
                    return
            known[host] = value


def _only_value(demand: HostDemand, label: str) -> str | None:
    """Return the one value of a label that all options of a demand ask for."""
    values = {dict(option.labels).get(label) for option in demand.options}
    return values.pop() if len(values) == 1 else None
