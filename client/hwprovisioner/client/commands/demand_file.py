"""Demands from a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

import click


def read_file(file: IO[bytes]) -> dict[str, Mapping[str, object]]:
    """Reads hosts by name, alone or below `hosts:` or `demands:`.

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
    return {str(host): _counted(demand) for host, demand in content.items()}  # type: ignore[misc]


def _inner(content: object) -> object:
    for key in ("demands", "hosts"):
        if isinstance(content, dict) and list(content) == [key]:
            content = content[key]
    return content


def _counted(demand: object) -> object:
    """Makes counts of cards numbers again."""
    if isinstance(demand, list):
        return [_counted(each) for each in demand]
    if isinstance(demand, dict):
        return {
            key: _number(value) if key in ("count", "gpus") else _counted(value)
            for key, value in demand.items()
        }
    return demand


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else _counted(value)
