"""`hwp version`: what runs here and there."""

from __future__ import annotations

import click

from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab

LIMIT_S = 2.0


@click.command(short_help="Show the version of the client, and what answers.")
@click.option("--client", is_flag=True, help="Ask no server.")
@with_lab
def version(lab: LabOptions, client: bool) -> int:
    """Show the version of this client, whether the servers answer, and the managers' versions."""
    import importlib.metadata

    click.echo(f"client     {importlib.metadata.version('hardware-provisioner')}")
    return 0 if client else run(lab, _servers(lab))


async def _servers(options: LabOptions) -> None:
    import asyncio

    from hwprovisioner.client.commands.health import check
    from hwprovisioner.client.errors import LabError

    async with options.lab() as lab:
        settings = lab.settings
        for name, address in (
            ("allocate", settings.allocate_address),
            ("heartbeat", settings.heartbeat_address),
        ):
            status = await asyncio.to_thread(check, address, "", LIMIT_S)
            click.echo(f"{name:<9}  {address} {status}")
            if name == "allocate" and status != "SERVING":
                return
        try:
            managers = await lab.list_managers()
        except LabError:
            return
    for manager in managers:
        click.echo(f"manager    {manager.id} {manager.version or 'of unknown version'}")
