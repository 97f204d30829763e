"""From `hardware` markers to what a test wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hwprovisioner.client.demands import as_hosts, build
from hwprovisioner.client.durations import to_timedelta
from hwprovisioner.client.errors import BadDemand
from hwprovisioner.client.known_keys import HOST_KEYS, LONE_HOST, RELATION_KEYS
from hwprovisioner.client.reading import unknown_key

SCOPES = ("function", "class", "module", "session")
SPANS = ("wait", "lease_ttl", "max_duration")
OPTIONS = ("scope", "priority", *SPANS)
"""Keywords of the marker that are no demand."""


class BadMarker(Exception):
    """A marker is wrong: what, and what would be right."""


class Marker(Protocol):
    """What is read of a pytest mark."""

    @property
    def args(self) -> tuple[Any, ...]:
        """What was given by position."""
        ...

    @property
    def kwargs(self) -> Mapping[str, Any]:
        """What was given by name."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a test wants."""

    demands: Mapping[str, object]
    """The hosts by name and what each must be, and what they have to do with one another."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """For `allocate`: `wait`, `priority` and the like, where a marker says so."""
    scope: str = "function"
    """For how long the hosts are kept."""

    @property
    def key(self) -> str:
        """Equal for tests that can share an allocation."""
        message = build(self.demands).SerializeToString(deterministic=True)
        return repr((message, sorted(self.options.items())))


def read(markers: Sequence[Marker]) -> Wanted:
    """Puts the markers of a test together, for each host and key the nearest one.

    So it is for `same` and `different`, each as a whole.

    Args:
        markers: Of the function, then the class, then the module.

    Raises:
        BadMarker: One is wrong.
    """
    hosts: dict[str, dict[str, object]] = {}
    options: dict[str, Any] = {}
    relations: dict[str, object] = {}
    for marker in reversed(markers):
        if marker.args:
            raise BadMarker(
                f"hardware({marker.args[0]!r}): give demands by name, such as hardware(cpus=4) or"
                " hardware(db={'cpus': 8})"
            )
        said = dict(marker.kwargs)
        options |= _taken(said, OPTIONS)
        relations |= _taken(said, RELATION_KEYS)
        for name, keys in _hosts(said).items():
            hosts.setdefault(name, {}).update(keys)
    scope = options.pop("scope", "function")
    demands: dict[str, object] = {**(hosts or {LONE_HOST: {}}), **relations}
    _check(demands, options, scope)
    return Wanted(demands, options, scope)


def _taken(said: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: said.pop(name) for name in names if name in said}


def _hosts(keywords: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    for name, value in keywords.items():
        if name not in HOST_KEYS and not isinstance(value, Mapping):
            known = (*HOST_KEYS, *RELATION_KEYS, *OPTIONS)
            raise BadMarker(f"hardware(...): {unknown_key(name, known, 'key')}")
    # A marker of nothing but options demands no host of its own.
    try:
        found = as_hosts(keywords) if keywords else {}
    except BadDemand as bad:
        raise BadMarker(f"hardware(...): {bad.message}") from None
    return {name: keys for name, keys in found.items() if isinstance(keys, Mapping)}


def _check(demands: Mapping[str, object], options: Mapping[str, Any], scope: object) -> None:
    if scope not in SCOPES:
        raise BadMarker(f"hardware(scope={scope!r}): write one of {', '.join(SCOPES)}")
    try:
        build(demands)
        for name in SPANS:
            if options.get(name) is not None:
                to_timedelta(options[name], name)
    except BadDemand as bad:
        raise BadMarker(f"hardware(...): {bad.message}") from None
