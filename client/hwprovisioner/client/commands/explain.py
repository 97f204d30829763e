"""`hwp explain`: why demands can or cannot be served."""

from __future__ import annotations

from collections.abc import Mapping

import click

from hwprovisioner.client.commands.demand_options import with_demands
from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab

FORMATS = ("table", "json", "yaml")
HEADS = ("HOST", "RESOURCE", "CAN SERVE", "REASON")


@click.command(short_help="Say why demands can or cannot be served.")
@with_demands
@click.option("--output", "-o", type=click.Choice(FORMATS), default="table", help="[table]")
@with_lab
def explain(lab: LabOptions, demands: Mapping[str, Mapping[str, object]], output: str) -> int:
    r"""Say for each resource whether it can serve the demands: now, later or never, and why not.

    Nothing is asked for. The exit code is 4 if they can never be served as things are registered,
    else 0.

    \b
    Example:
      hwp explain --cpus 64 --gpu rtx4000
    """
    return run(lab, _explain(lab, demands, output))


async def _explain(
    options: LabOptions, demands: Mapping[str, Mapping[str, object]], output: str
) -> int:
    from hwprovisioner.client.commands import render, table

    async with options.lab() as lab:
        answer = await lab.explain(demands=demands)
    if output in render.MESSAGE_FORMATS:
        render.show(render.as_data(answer), output)
    else:
        click.echo(answer.summary)
        rows = [
            (name, each.resource, _when(each.now, each.ever), each.reason)
            for name in sorted(answer.hosts)
            for each in answer.hosts[name].resources
        ]
        if rows:
            click.echo()
            for line in table.lines(HEADS, rows, table.terminal_width()):
                click.echo(line)
    return ExitCode.OK if answer.satisfiable_ever else ExitCode.NEVER


def _when(now: bool, ever: bool) -> str:
    if now:
        return "now"
    return "later" if ever else "never"
