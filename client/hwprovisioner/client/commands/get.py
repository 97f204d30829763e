"""`hwp get`: what there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hwprovisioner.client.commands.completing import (
    complete_allocations,
    complete_managers,
    complete_resources,
)
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.errors import NotFound

if TYPE_CHECKING:
    from google.protobuf.message import Message

FORMATS = ("table", "wide", "json", "yaml", "name")
Function = TypeVar("Function", bound=Callable[..., Any])

ALIASES = {
    "resource": "resources",
    "res": "resources",
    "allocation": "allocations",
    "alloc": "allocations",
    "manager": "managers",
}


class _Kinds(click.Group):
    """Takes singular, plural and short names."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return super().get_command(context, ALIASES.get(name, name))


@click.group(cls=_Kinds, short_help="Show resources, allocations or managers.")
def get() -> None:
    """Show what there is: all, or those that are named.

    Singular and short names do, too: `hwp get resource local`, `hwp get alloc`.
    """


def _with_output(function: Function) -> Function:
    decorate = click.option(
        "--output", "-o", type=click.Choice(FORMATS), default="table", help="[table]"
    )
    return decorate(function)


@get.command("resources")
@click.argument("names", nargs=-1, metavar="[NAME]…", shell_complete=complete_resources)
@click.option(
    "--label", "-l", "labels", multiple=True, metavar="NAME[=VALUE]", help="With this label."
)
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Of this kind, such as vm.")
@click.option("--free", is_flag=True, help="That can be had now.")
@click.option("--manager", default="", metavar="ID", help="Of this manager.")
@_with_output
@with_lab
def resources(
    lab: LabOptions,
    names: tuple[str, ...],
    labels: tuple[str, ...],
    kinds: tuple[str, ...],
    free: bool,
    manager: str,
    output: str,
) -> int:
    """Show resources."""
    demand: dict[str, object] = {"labels": list(labels), "kinds": list(kinds)}
    wanted = {key: value for key, value in demand.items() if value} or None
    _all_or_named(names, bool(wanted or free or manager))
    return run(lab, _resources(lab, names, wanted, manager, free, output))


async def _resources(
    options: LabOptions,
    names: Sequence[str],
    demand: dict[str, object] | None,
    manager: str,
    free: bool,
    output: str,
) -> None:
    from hwprovisioner.client.commands import shown
    from hwprovisioner.v1.allocate_service_pb2 import ListResourcesResponse

    async with options.lab() as lab:
        if names:
            found = [await lab.get_resource(name) for name in names]
            page = ListResourcesResponse(resources=found)
        else:
            listing = await lab.list_resources(demand=demand, manager=manager, free=free)
            page = ListResourcesResponse(resources=listing.items, revision=listing.revision)
    heads = shown.RESOURCE_WIDE if output == "wide" else shown.RESOURCE_HEADS
    _show(page, page.resources, names, output, heads, shown.resource_row, lambda r: r.spec.name)


@get.command("allocations")
@click.argument("ids", nargs=-1, metavar="[ID]…", shell_complete=complete_allocations)
@click.option(
    "--state", "states", multiple=True, metavar="STATE", help="queued, preparing, ready, ended."
)
@click.option("--user", default="", metavar="USER", help="Of this user.")
@click.option("--token", envvar="HWP_TOKEN", metavar="TOKEN", help="Shows connections, too.")
@_with_output
@with_lab
def allocations(
    lab: LabOptions,
    ids: tuple[str, ...],
    states: tuple[str, ...],
    user: str,
    token: str | None,
    output: str,
) -> int:
    """Show allocations, those that ended not long ago too."""
    _all_or_named(ids, bool(states or user))
    return run(lab, _allocations(lab, ids, states, user, token, output))


async def _allocations(
    options: LabOptions,
    ids: Sequence[str],
    states: Sequence[str],
    user: str,
    token: str | None,
    output: str,
) -> None:
    from hwprovisioner.client.commands import shown
    from hwprovisioner.client.commands.release import token_for
    from hwprovisioner.v1.allocate_service_pb2 import ListAllocationsResponse

    async with options.lab() as lab:
        if ids:
            found = [await lab.get_allocation(each, token or token_for(each)) for each in ids]
            page = ListAllocationsResponse(allocations=found)
        else:
            listing = await lab.list_allocations(states=states, user=user)
            page = ListAllocationsResponse(allocations=listing.items, revision=listing.revision)
    heads = shown.ALLOCATION_WIDE if output == "wide" else shown.ALLOCATION_HEADS
    _show(page, page.allocations, ids, output, heads, shown.allocation_row, lambda a: a.id)


@get.command("managers")
@click.argument("ids", nargs=-1, metavar="[ID]…", shell_complete=complete_managers)
@click.option(
    "--state", "presences", multiple=True, metavar="STATE", help="online, disconnected, lost."
)
@_with_output
@with_lab
def managers(lab: LabOptions, ids: tuple[str, ...], presences: tuple[str, ...], output: str) -> int:
    """Show resource managers."""
    _all_or_named(ids, bool(presences))
    return run(lab, _managers(lab, ids, presences, output))


async def _managers(
    options: LabOptions, ids: Sequence[str], presences: Sequence[str], output: str
) -> None:
    from hwprovisioner.client.commands import shown
    from hwprovisioner.v1.allocate_service_pb2 import ListManagersResponse

    async with options.lab() as lab:
        listing = await lab.list_managers(presences=presences)
    by_id = {each.id: each for each in listing}
    if missing := [each for each in ids if each not in by_id]:
        raise NotFound(f"no resource manager {', '.join(missing)}", reason="NO_SUCH_MANAGER")
    found = [by_id[each] for each in ids] if ids else listing.items
    page = ListManagersResponse(managers=found, revision=listing.revision)
    heads = shown.MANAGER_WIDE if output == "wide" else shown.MANAGER_HEADS
    _show(page, page.managers, ids, output, heads, shown.manager_row, lambda m: m.id)


def _all_or_named(names: Sequence[str], filtered: bool) -> None:
    if names and filtered:
        raise click.UsageError("either name them or filter them, not both")


def _show(
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
