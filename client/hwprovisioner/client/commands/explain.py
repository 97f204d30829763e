"""`hwp explain`: why demands can or cannot be served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hwprovisioner.client.commands.demand_options import with_demands
from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.printable import printable

if TYPE_CHECKING:
    from hwprovisioner.client.demands import DemandMapping

FORMATS = ("table", "json", "yaml")
HEADS = ("HOST", "RESOURCE", "CAN SERVE", "REASON")


@click.command(short_help="Say why demands can or cannot be served.")
@with_demands
@click.option("--output", "-o", type=click.Choice(FORMATS), default="table", help="[table]")
@with_lab
def explain(lab: LabOptions, demands: DemandMapping, output: str) -> int:
    """Say for each resource when it can serve the demands, and why not now.

    `later` is by itself, when what is in use is given back, say; `out of service` is not until a
    person or a manager acts. Nothing is asked for. The exit code is 4 if the demands can never be
    served as things are registered, else 0.

    \b
    Example:
      hwp explain --cpus 64 --gpu rtx4000
    """  # noqa: D301  # click wants the character
    return run(lab, _explain(lab, demands, output))


async def _explain(options: LabOptions, demands: DemandMapping, output: str) -> int:
    from hwprovisioner.client.commands import render, table
    from hwprovisioner.client.words import word
    from hwprovisioner.v1.allocate_service_pb2 import Availability

    async with options.lab() as lab:
        answer = await lab.explain(demands=demands)
    if output in render.MESSAGE_FORMATS:
        render.show(render.as_data(answer), output)
    else:
        click.echo(printable(answer.summary))
        rows = [
            (
                name,
                each.resource,
                word(Availability, each.availability).replace("-", " "),
                each.reason,
            )
            for name in sorted(answer.hosts)
            for each in answer.hosts[name].resources
        ]
        if rows:
            click.echo()
            for line in table.lines(HEADS, rows, table.terminal_width()):
                click.echo(line)
    never = answer.availability == Availability.AVAILABILITY_NEVER
    return ExitCode.NEVER if never else ExitCode.OK
