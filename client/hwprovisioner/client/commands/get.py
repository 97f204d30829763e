"""`hwp get`: what there is."""

from __future__ import annotations

from collections.abc import Sequence

import click

from hwprovisioner.client.commands.completing import (
    complete_allocations,
    complete_managers,
    complete_resources,
)
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.commands.listed import show, with_output
from hwprovisioner.client.errors import NotFound

ALIASES = {
    "resource": "resources",
    "res": "resources",
    "allocation": "allocations",
    "alloc": "allocations",
    "manager": "managers",
    "booking": "bookings",
    "wait": "waits",
}


class _Kinds(click.Group):
    """Takes singular, plural and short names."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return super().get_command(context, ALIASES.get(name, name))


@click.group(cls=_Kinds, short_help="Show resources, allocations, bookings, managers or waits.")
def get() -> None:
    """Show what there is: all, or those that are named.

    Singular and short names do, too: `hwp get resource local`, `hwp get alloc`.
    """


@get.command("resources")
@click.argument("names", nargs=-1, metavar="[NAME]…", shell_complete=complete_resources)
@click.option(
    "--label", "-l", "labels", multiple=True, metavar="NAME[=VALUE]", help="With this label."
)
@click.option("--kind", "kinds", multiple=True, metavar="KIND", help="Of this kind, such as vm.")
@click.option("--free", is_flag=True, help="That can be had now.")
@click.option("--manager", default="", metavar="ID", help="Of this manager.")
@with_output
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
    show(page, page.resources, names, output, heads, shown.resource_row, lambda r: r.spec.name)


@get.command("allocations")
@click.argument("ids", nargs=-1, metavar="[ID]…", shell_complete=complete_allocations)
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="STATE",
    help="booked, queued, preparing, ready, ended.",
)
@click.option("--user", default="", metavar="USER", help="Of this user.")
@click.option("--token", envvar="HWP_TOKEN", metavar="TOKEN", help="Shows connections, too.")
@with_output
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
    show(page, page.allocations, ids, output, heads, shown.allocation_row, lambda a: a.id)


@get.command("managers")
@click.argument("ids", nargs=-1, metavar="[ID]…", shell_complete=complete_managers)
@click.option(
    "--state", "presences", multiple=True, metavar="STATE", help="online, disconnected, lost."
)
@with_output
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
    show(page, page.managers, ids, output, heads, shown.manager_row, lambda m: m.id)


def _all_or_named(names: Sequence[str], filtered: bool) -> None:
    if names and filtered:
        raise click.UsageError("either name them or filter them, not both")


@get.command("bookings")
@click.option("--user", default="", metavar="USER", help="Of this user.")
@with_output
@with_lab
def bookings(lab: LabOptions, user: str, output: str) -> int:
    """Show bookings, by when they begin: those to come and those that go on."""
    return run(lab, _bookings(lab, user, output))


async def _bookings(options: LabOptions, user: str, output: str) -> None:
    from hwprovisioner.client.commands import shown
    from hwprovisioner.v1.allocate_service_pb2 import ListAllocationsResponse

    async with options.lab() as lab:
        listing = await lab.list_allocations(states=shown.NOT_ENDED, user=user)
    found = [each for each in listing if each.HasField("book_start_time")]
    found.sort(key=lambda each: (each.book_start_time.seconds, each.id))
    page = ListAllocationsResponse(allocations=found, revision=listing.revision)
    heads = shown.BOOKING_WIDE if output == "wide" else shown.BOOKING_HEADS
    show(page, page.allocations, (), output, heads, shown.booking_row, lambda a: a.id)


@get.command("waits")
@with_output
@with_lab
def waits(lab: LabOptions, output: str) -> int:
    """Show how long requests waited and lasted, by what they asked for."""
    return run(lab, _waits(lab, output))


async def _waits(options: LabOptions, output: str) -> None:
    from hwprovisioner.client.commands import shown_waits
    from hwprovisioner.v1.allocate_service_pb2 import ListWaitTimesResponse

    async with options.lab() as lab:
        page = ListWaitTimesResponse(classes=await lab.wait_times())
    row = shown_waits.wait_row
    show(page, page.classes, (), output, shown_waits.HEADS, row, lambda each: each.class_id)
