"""Demands from a YAML file."""

from __future__ import annotations

from typing import IO

import click

from hwprovisioner.client.known_keys import RELATION_KEYS


def read_file(file: IO[bytes]) -> dict[str, object]:
    """Reads hosts by name, alone or below `hosts:` or `demands:`, with `same` and `different`.

    Raises:
        click.UsageError: It is something else.
    """
    import yaml

    name = getattr(file, "name", "-")
    try:
        # All scalars stay text: 22.10 is a version, and 08 eight.
        content = _inner(yaml.load(file, Loader=yaml.BaseLoader))  # noqa: S506
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--file {name}: {error}") from error
    if not isinstance(content, dict) or not content:
        raise click.UsageError(f"--file {name}: should be hosts by name, as in `db: {{cpus: 8}}`")
    # A host that is no mapping is refused by the SDK, which names it.
    return {
        str(key): value if key in RELATION_KEYS else _counted(value)
        for key, value in content.items()
    }


def _inner(content: object) -> object:
    """Gives what stands below `demands:` and `hosts:`; relations may stand beside the latter."""
    if isinstance(content, dict) and list(content) == ["demands"]:
        content = content["demands"]
    if not isinstance(content, dict) or set(content) - {"hosts", *RELATION_KEYS}:
        return content
    hosts = content.get("hosts", {})
    beside = {key: value for key, value in content.items() if key != "hosts"}
    return {**hosts, **beside} if isinstance(hosts, dict) else hosts


def _counted(demand: object) -> object:
    """Makes counts of hosts and cards numbers again."""
    if not isinstance(demand, dict):
        return demand
    found = dict(demand)
    if "count" in found:
        found["count"] = _number(found["count"])
    for key in ("gpus", "any_of"):
        if key in found:
            found[key] = _each(found[key])
    return found


def _each(value: object) -> object:
    if isinstance(value, list):
        return [_counted(each) for each in value]
    return _counted(_number(value))


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value
