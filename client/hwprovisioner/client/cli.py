"""`hwp`, the command line of the lab.

Commands import what they need when they run: `hwp --help` loads neither gRPC nor YAML.
"""

from __future__ import annotations

import click

from hwprovisioner.client.commands.allocate import allocate
from hwprovisioner.client.commands.book import book
from hwprovisioner.client.commands.completion import completion
from hwprovisioner.client.commands.console import console
from hwprovisioner.client.commands.drain import drain, maintenance, quarantine, undrain
from hwprovisioner.client.commands.exit_codes import epilog
from hwprovisioner.client.commands.explain import explain
from hwprovisioner.client.commands.forward import forward
from hwprovisioner.client.commands.get import get
from hwprovisioner.client.commands.group import HwpGroup
from hwprovisioner.client.commands.health import health
from hwprovisioner.client.commands.hold import hold
from hwprovisioner.client.commands.lab_options import OPTIONS, take
from hwprovisioner.client.commands.power import power
from hwprovisioner.client.commands.release import release
from hwprovisioner.client.commands.run_command import run_command
from hwprovisioner.client.commands.ssh import cp, ssh
from hwprovisioner.client.commands.version import version
from hwprovisioner.client.commands.watch import watch


def _show_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        import importlib.metadata

        click.echo(f"hwp {importlib.metadata.version('hardware-provisioner')}")
        context.exit()


@click.group(
    cls=HwpGroup, epilog=epilog(), context_settings={"help_option_names": ["--help", "-h"]}
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and end.",
)
@click.pass_context
def main(context: click.Context, /, **options: object) -> None:
    """Ask a lab for hardware, hold it, give it back.

    `hwp up` runs a whole lab on this machine. Where the lab is comes from --address, else from
    ALLOCATE_API, else it is 127.0.0.1:8080.
    """
    context.obj = take(options)


for _option in OPTIONS:
    main = _option(main)

for _command in (
    *(run_command, allocate, book, hold, release, get, explain, watch),
    *(ssh, cp, forward, console, power),
    *(drain, maintenance, undrain, quarantine, health, version, completion),
):
    main.add_command(_command)


if __name__ == "__main__":
    main()
