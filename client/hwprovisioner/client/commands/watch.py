"""`hwp watch`: changes as they happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hwprovisioner.client.commands.completing import complete_allocations
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.printable import printable

if TYPE_CHECKING:
    from hwprovisioner.v1.allocate_service_pb2 import AllocationUpdate, WatchLabResponse

FORMATS = ("lines", "json")


@click.command(short_help="Tell changes of the lab, or of one allocation.")
@click.argument(
    "allocation_id", required=False, metavar="[ID]", shell_complete=complete_allocations
)
@click.option("--token", envvar="HWP_TOKEN", metavar="TOKEN", help="Tells connections, too.")
@click.option(
    "--after-revision",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Every change after that one; 0: from now on.  [0]",
)
@click.option("--output", "-o", type=click.Choice(FORMATS), default="lines", help="[lines]")
@with_lab
def watch(
    lab: LabOptions, allocation_id: str | None, token: str | None, after_revision: int, output: str
) -> int:
    """Tell every change of the lab until Ctrl-C; or, with an ID, of that allocation until it ends.

    With `-o json` each change is one line of JSON.
    """
    if allocation_id is None:
        return run(lab, _lab(lab, after_revision, output))
    if after_revision:
        raise click.UsageError("--after-revision is for the lab, not for one allocation")
    return run(lab, _allocation(lab, allocation_id, token, output))


async def _lab(options: LabOptions, after_revision: int, output: str) -> None:
    from hwprovisioner.client.commands import render

    async with options.lab(patient=True) as lab:
        async for change in lab.watch_lab(after_revision):
            if output == "json":
                render.show(render.as_data(change), "lines")
            else:
                click.echo(printable(change_line(change)))


async def _allocation(
    options: LabOptions, allocation_id: str, token: str | None, output: str
) -> None:
    from hwprovisioner.client.commands import render
    from hwprovisioner.client.commands.release import token_for

    async with options.lab(patient=True) as lab:
        secret = token or token_for(allocation_id)
        async for update in lab.watch_allocation(allocation_id, secret):
            if output == "json":
                render.show(render.as_data(update), "lines")
            else:
                click.echo(printable(update_line(update)))


def change_line(change: WatchLabResponse) -> str:
    """Gives a change of the lab as one line."""
    from hwprovisioner.client.commands.shown import hosts_of, resource_state
    from hwprovisioner.client.words import word
    from hwprovisioner.v1.allocation_pb2 import AllocationState
    from hwprovisioner.v1.resource_pb2 import Presence

    time = change.time.ToDatetime().strftime("%H:%M:%SZ")
    parts = [
        *(
            f"allocation {each.id} {word(AllocationState, each.state)} ({hosts_of(each)})"
            for each in change.allocations
        ),
        *(f"resource {each.spec.name} {resource_state(each)}" for each in change.resources),
        *(f"manager {each.id} {word(Presence, each.presence)}" for each in change.managers),
    ]
    return f"{change.revision} {time} {change.event}: {'; '.join(parts)}".removesuffix(": ")


def update_line(update: AllocationUpdate) -> str:
    """Gives news of an allocation as one line."""
    from hwprovisioner.client.commands.shown import hosts_of, queue_line
    from hwprovisioner.client.durations import show
    from hwprovisioner.client.moments import from_timestamp
    from hwprovisioner.client.updates import booked_line
    from hwprovisioner.client.words import word
    from hwprovisioner.v1.allocation_pb2 import EndReason

    match update.WhichOneof("event"):
        case "booked":
            return booked_line(from_timestamp(update.allocation.book_start_time))
        case "queued":
            return f"queued at {queue_line(update.queued)}"
        case "preparing":
            host, message = update.preparing.host, update.preparing.message
            return "preparing" + (f" {host}" if host else "") + (f": {message}" if message else "")
        case "ready":
            left = show(update.ready.remaining_lease.ToTimedelta().total_seconds())
            return f"ready: {hosts_of(update.allocation)}; lease {left}"
        case "ended":
            reason, detail = word(EndReason, update.ended.reason), update.ended.detail
            return f"ended: {reason}" + (f": {detail}" if detail else "")
    return "news that this version does not know"
