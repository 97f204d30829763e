"""What `hwp get` shows, in the form that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from google.protobuf.message import Message

FORMATS = ("table", "wide", "json", "yaml", "name")
Function = TypeVar("Function", bound=Callable[..., Any])


def with_output(function: Function) -> Function:
    """Gives a command the option, as its argument `output`."""
    decorate = click.option(
        "--output", "-o", type=click.Choice(FORMATS), default="table", help="[table]"
    )
    return decorate(function)


def show(
    page: Message,
    items: Sequence[Any],
    names: Sequence[str],
    output: str,
    heads: Sequence[str],
    row: Callable[..., Sequence[str]],
    name_of: Callable[[Any], str],
) -> None:
    """Writes a list to stdout. One that was named is, in JSON and YAML, not in a list."""
    from hwprovisioner.client.commands import render, table

    if output in render.MESSAGE_FORMATS:
        if len(names) == 1:
            return render.show(render.as_data(items[0]), output)
        data = render.as_data(page)
        data.pop("nextPageToken", None)
        return render.show(data, output)
    if output == "name":
        return click.echo("".join(f"{name_of(item)}\n" for item in items), nl=False)
    if not items:
        return click.echo("nothing found", err=True)
    rows = [row(item, wide=output == "wide") for item in items]
    for line in table.lines(heads, rows, table.terminal_width()):
        click.echo(line)
    return None
