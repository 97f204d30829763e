"""Results on stdout: JSON and YAML with the contract's JSON field names, and plain lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from google.protobuf.message import Message

MESSAGE_FORMATS = ("json", "yaml")


def as_data(message: Message) -> dict[str, Any]:
    """Gives a message as JSON data: field names as in `cpus` and `memoryBytes`, none left out."""
    from google.protobuf.json_format import MessageToDict

    data: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    return data


def show(data: object, form: str) -> None:
    """Writes JSON data to stdout.

    Args:
        data: What `as_data` gave, or parts of it.
        form: `json`, `yaml`, or `lines` for JSON on one line.
    """
    match form:
        case "yaml":
            import yaml

            text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=10_000)
            click.echo(text, nl=False)
        case "lines":
            click.echo(json.dumps(data, ensure_ascii=False))
        case _:
            click.echo(json.dumps(data, ensure_ascii=False, indent=2))
