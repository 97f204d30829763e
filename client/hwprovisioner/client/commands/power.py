"""`hwp power`: switching a host's power."""

from __future__ import annotations

import click

from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.commands.which_host import complete_host, find_host, with_token


@click.command(short_help="Switch a host's power: on, off or cycle.")
@click.argument("action", type=click.Choice(["on", "off", "cycle"]))
@click.argument("host", shell_complete=complete_host)
@with_token
@with_lab
def power(lab: LabOptions, action: str, host: str, token: str | None) -> int:
    """Switch the power of a host that you hold, if its resource has a control for it.

    HOST is ALLOCATION/HOST, or less where it is clear: see `hwp console --help`.
    """
    return run(lab, _power(lab, action, host, token))


async def _power(options: LabOptions, action: str, word: str, token: str | None) -> None:
    async with options.lab() as lab:
        host = await find_host(lab, word, token)
        await host.reach.power(action)
    if not options.quiet:
        done = {"on": "is on", "off": "is off", "cycle": "was switched off and on"}[action]
        click.echo(f"{host.full_name} {done}")
