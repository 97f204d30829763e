"""From `hardware` markers to what a test wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hwprovisioner.client.demands import as_hosts, build, unknown_key
from hwprovisioner.client.durations import to_timedelta
from hwprovisioner.client.errors import BadDemand
from hwprovisioner.client.known_keys import HOST_KEYS

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

    hosts: Mapping[str, Mapping[str, object]]
    """The hosts by name, and what each must be."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """For `allocate`: `wait`, `priority` and the like, where a marker says so."""
    scope: str = "function"
    """For how long the hosts are kept."""

    @property
    def key(self) -> str:
        """Equal for tests that can share an allocation."""
        return repr(
            (
                sorted((name, sorted(keys.items())) for name, keys in self.hosts.items()),
                sorted(self.options.items()),
            )
        )


def read(markers: Sequence[Marker]) -> Wanted:
    """Puts the markers of a test together, for each host and key the nearest one.

    Args:
        markers: Of the function, then the class, then the module.

    Raises:
        BadMarker: One is wrong.
    """
    hosts: dict[str, dict[str, object]] = {}
    options: dict[str, Any] = {}
    for marker in reversed(markers):
        if marker.args:
            raise BadMarker(
                f"hardware({marker.args[0]!r}): give demands by name, such as hardware(cpus=4) or"
                " hardware(db={'cpus': 8})"
            )
        said = dict(marker.kwargs)
        options |= {name: said.pop(name) for name in OPTIONS if name in said}
        for name, keys in _hosts(said).items():
            hosts.setdefault(name, {}).update(keys)
    scope = options.pop("scope", "function")
    _check(hosts, options, scope)
    return Wanted(hosts, options, scope)


def _hosts(keywords: Mapping[str, object]) -> Mapping[str, Mapping[str, object]]:
    for name, value in keywords.items():
        if name not in HOST_KEYS and not isinstance(value, Mapping):
            known = (*HOST_KEYS, *OPTIONS)
            raise BadMarker(f"hardware(...): {unknown_key(name, known, 'key')}")
    # A marker of nothing but options demands no host of its own.
    try:
        return as_hosts(keywords) if keywords else {}
    except BadDemand as bad:
        raise BadMarker(f"hardware(...): {bad.message}") from None


def _check(hosts: dict[str, dict[str, object]], options: Mapping[str, Any], scope: object) -> None:
    if scope not in SCOPES:
        raise BadMarker(f"hardware(scope={scope!r}): write one of {', '.join(SCOPES)}")
    if not hosts:
        hosts.update({name: dict(keys) for name, keys in as_hosts({}).items()})
    try:
        build(hosts)
        for name in SPANS:
            if options.get(name) is not None:
                to_timedelta(options[name], name)
    except BadDemand as bad:
        raise BadMarker(f"hardware(...): {bad.message}") from None
