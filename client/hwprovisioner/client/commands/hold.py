"""`hwp hold`: keeping an allocation for a look at what went wrong."""

from __future__ import annotations

import click

from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.commands.release import complete_own, token_for
from hwprovisioner.client.errors import NotAllowed


@click.command(short_help="Keep an allocation for a look at what went wrong.")
@click.argument("allocation_id", metavar="ID", shell_complete=complete_own)
@click.option("--for", "duration", metavar="TIME", help="For how long: 30m, 2h.")
@click.option("--no-longer", is_flag=True, help="Keep it no longer.")
@click.option("--token", metavar="TOKEN", help="Its token.  [as made here, or HWP_TOKEN]")
@with_lab
def hold(
    lab: LabOptions, allocation_id: str, duration: str | None, no_longer: bool, token: str | None
) -> int:
    """Keep an allocation's hosts as they are for a while, for a look at what went wrong.

    Until then neither a release nor missing heartbeats end it. All else still does: its maximum
    duration, the end of a booking, giving way, a drain. Once it is kept no longer, it ends if it
    was released meanwhile, and else lives by its heartbeats again. `hwp release --now ID` ends it
    at once.
    """
    if (duration is None) is not no_longer:
        raise click.UsageError("say for how long: either --for or --no-longer")
    return run(lab, _hold(lab, allocation_id, duration, token))


async def _hold(
    options: LabOptions, allocation_id: str, duration: str | None, token: str | None
) -> None:
    from hwprovisioner.client.commands.shown import kept

    secret = token or token_for(allocation_id)
    if not secret:
        raise NotAllowed(f"{allocation_id}: no token for it here; give --token or HWP_TOKEN")
    async with options.lab() as lab:
        allocation = await lab.keep(allocation_id, secret, duration)
    click.echo(f"{allocation_id} {kept(allocation) or 'is kept no longer'}")
