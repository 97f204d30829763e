"""`hwp drain` and `hwp undrain`: taking resources out of service, and putting them back."""

from __future__ import annotations

import click

from hwprovisioner.client.commands.completing import complete_resources
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab


@click.command(short_help="Take a resource out of service.")
@click.argument("name", shell_complete=complete_resources)
@click.option("--reason", default="", metavar="TEXT", help="Why, for people to read.")
@with_lab
def drain(lab: LabOptions, name: str, reason: str) -> int:
    """Take a resource out of service: what holds it may stay, nothing new is granted."""
    return run(lab, _drain(lab, name, reason))


@click.command(short_help="Put a drained resource back into service.")
@click.argument("name", shell_complete=complete_resources)
@with_lab
def undrain(lab: LabOptions, name: str) -> int:
    """Put a drained resource back into service."""
    return run(lab, _undrain(lab, name))


async def _drain(options: LabOptions, name: str, reason: str) -> None:
    from hwprovisioner.client.commands.shown import resource_state

    async with options.lab() as lab:
        resource = await lab.drain_resource(name, reason)
    click.echo(f"{resource.spec.name}: {resource_state(resource)}")


async def _undrain(options: LabOptions, name: str) -> None:
    from hwprovisioner.client.commands.shown import resource_state

    async with options.lab() as lab:
        resource = await lab.enable_resource(name)
    click.echo(f"{resource.spec.name}: {resource_state(resource)}")
