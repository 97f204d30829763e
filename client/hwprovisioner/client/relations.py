"""What the hosts of a set have to do with one another: `same="switch"`, `different={"rack": …}`.

Each is a label or a list of labels, which then hold for all hosts; or a mapping from a label to the
hosts it holds for: `"all"` or an empty list for all of them, a name, a list of names, or a list of
lists where it holds within each of several groups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from hwprovisioner.client.errors import BadDemand, Violation
from hwprovisioner.client.guessing import did_you_mean
from hwprovisioner.client.known_keys import RELATION_KEYS
from hwprovisioner.client.reading import listed, text, texts
from hwprovisioner.v1.demand_pb2 import Relation, RelationKind

ALL_HOSTS = "all"
"""Instead of the names of hosts: all of the set."""

_KINDS = {
    "same": RelationKind.RELATION_KIND_SAME,
    "different": RelationKind.RELATION_KIND_DIFFERENT,
}
assert tuple(_KINDS) == RELATION_KEYS


def read_relations(
    said: Mapping[str, object], hosts: Collection[str], violations: list[Violation]
) -> list[Relation]:
    """Converts `same` and `different`.

    Args:
        said: What was written under either.
        hosts: The names of the set's hosts.
        violations: Gets one more for each thing that is wrong.
    """
    found = []
    for key, value in said.items():
        try:
            for label, group in _groups(key, value):
                _check(key, label, group, hosts)
                found.append(Relation(kind=_KINDS[key], label=label, hosts=group))
        except BadDemand as bad:
            violations.append(Violation(key, bad.message))
    return found


def _groups(key: str, value: object) -> Iterator[tuple[str, list[str]]]:
    """Gives each label with the hosts it holds for; none means all."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield from ((label, []) for label in texts(value))
        return
    if not value:
        raise BadDemand(f"says nothing{_no_host(key)}")
    for label, named in value.items():
        if named == ALL_HOSTS:
            yield text(label), []
        elif isinstance(named, str):
            yield text(label), [named]
        elif isinstance(named, Mapping):
            raise BadDemand(f"{label}: {named!r} is no list of hosts{_no_host(key)}")
        else:
            yield from ((text(label), group) for group in _listed_groups(key, label, named))


def _listed_groups(key: str, label: object, named: object) -> list[list[str]]:
    try:
        parts = listed(named)
        if any(not isinstance(part, str) for part in parts):
            return [texts(part) for part in parts]
        return [texts(parts)]
    except BadDemand as bad:
        raise BadDemand(f"{label}: {bad.message}{_no_host(key)}") from None


def _check(key: str, label: str, group: list[str], hosts: Collection[str]) -> None:
    if not label.strip():
        raise BadDemand(f"a label has no name{_no_host(key)}")
    for name in group:
        if name not in hosts:
            known = ", ".join(hosts)
            raise BadDemand(
                f"{label}: there is no host {name!r}{did_you_mean(name, hosts)} (hosts:"
                f" {known}){_no_host(key)}"
            )


def _no_host(key: str) -> str:
    return (
        f"; write a label, or {key}={{'switch': ['db', 'edge']}}, and call no host {key!r}: the"
        " word says what hosts have to do with one another"
    )
