"""`hwp book`: hardware from a time to a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hwprovisioner.client.commands.demand_options import with_demands
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab

if TYPE_CHECKING:
    from hwprovisioner.client.booking import Booking
    from hwprovisioner.client.demands import DemandMapping

FORMATS = ("text", "json", "yaml")


@click.command(short_help="Book hardware from a time to a time.")
@with_demands
@click.option("--from", "start", required=True, metavar="TIME", help="When it begins.")
@click.option("--until", "end", metavar="TIME", help="When it ends.")
@click.option("--for", "duration", metavar="TIME", help="How long it lasts: 90m, 2h.")
@click.option("--ttl", "lease_ttl", metavar="TIME", help="The lease after each heartbeat.  [30s]")
@click.option("--request-id", metavar="ID", help="The same id gives the same booking.")
@click.option(
    "--ssh-key", metavar="FILE.pub", help="Let me in with this key.  [a new one each time]"
)
@click.option("--output", "-o", type=click.Choice(FORMATS), default="text", help="[text]")
@with_lab
def book(
    lab: LabOptions,
    demands: DemandMapping,
    start: str,
    end: str | None,
    duration: str | None,
    lease_ttl: str | None,
    request_id: str | None,
    ssh_key: str | None,
    output: str,
) -> int:
    """Book hardware from a time to a time, and print the booking's id and token.

    A TIME is 14:00 (the next such time; of --until: the next after the start), 2026-05-01T14:00
    (in this machine's zone unless it says another), or +2h (from now; of --until: from the start).

    The booking begins by itself. Then somebody must hold it within 10 minutes: `hwp run
    --allocation ID`, which may be started before. `hwp release ID` cancels it. The exit code is 9
    if the set cannot be promised for that time.

    \b
    Examples:
      hwp book --from 14:00 --for 2h --gpu rtx4000
      hwp book --from 2026-05-01T08:00 --until 18:00 --host db:cpus=8 --host edge:label=jetson
    """  # noqa: D301  # click wants the character
    if (end is None) == (duration is None):
        raise click.UsageError("say when it ends: either --until or --for")
    moments = {"start": start, "end": end, "duration": duration}
    how = {"lease_ttl": lease_ttl, "request_id": request_id, "ssh_key": ssh_key}
    asked = {**moments, **how}
    return run(lab, _book(lab, demands, asked, output))


async def _book(
    options: LabOptions, demands: DemandMapping, asked: dict[str, str | None], output: str
) -> None:
    from hwprovisioner.client.commands.kept_key import with_kept_key
    from hwprovisioner.client.commands.own_allocations import OwnAllocations
    from hwprovisioner.client.holder_key import read

    async with options.lab() as lab, with_kept_key(asked) as request:
        booking = await lab.book(demands=demands, **request)
    key = request["ssh_key"]
    OwnAllocations.of_user().add(
        booking.allocation_id,
        booking.token,
        booking.start.timestamp(),
        key_file=read(key).file if key else "",
    )
    _show(booking, output)


def _show(booking: Booking, form: str) -> None:
    """Writes a booking with its token to stdout."""
    from hwprovisioner.client.commands import render

    if form != "text":
        render.show(render.as_data(booking.allocation) | {"token": booking.token}, form)
        return
    click.echo(f"id      {booking.allocation_id}")
    click.echo(f"token   {booking.token}")
    click.echo(f"from    {booking.start.astimezone().isoformat(timespec='seconds')}")
    click.echo(f"until   {booking.end.astimezone().isoformat(timespec='seconds')}")
