"""`hwp run`: a command on hardware that is given back when it ends."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from hwprovisioner.client.commands.demand_options import NOTHING_WANTED, with_demands
from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.commands.release import complete_own, token_for
from hwprovisioner.client.commands.request_options import with_request
from hwprovisioner.client.errors import NotAllowed

if TYPE_CHECKING:
    from hwprovisioner.client.allocating import AsyncHardware
    from hwprovisioner.client.commands.hold_open import Ask
    from hwprovisioner.client.demands import DemandMapping
    from hwprovisioner.client.facts import HostFacts
    from hwprovisioner.client.lab import AsyncLab
    from hwprovisioner.client.settings import Settings


@click.command(
    "run",
    short_help="Run a command on hardware that is given back when it ends.",
    context_settings={"allow_interspersed_args": False},
)
@with_demands
@with_request
@click.option(
    "--allocation",
    "allocation_id",
    metavar="ID",
    shell_complete=complete_own,
    help="Ask for nothing; take this booking or allocation up.",
)
@click.option("--token", metavar="TOKEN", help="Its token, if it was not made here.  [HWP_TOKEN]")
@with_lab
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
def run_command(
    lab: LabOptions,
    demands: DemandMapping,
    request: Mapping[str, Any],
    allocation_id: str | None,
    token: str | None,
    command: tuple[str, ...],
) -> int:
    """Ask for hardware, run a command when it is ready, and give it back when the command ends.

    The command runs here, and finds the hardware in its environment: HWP_ALLOCATION_ID, HWP_TOKEN,
    HWP_HOST (the address, if there is one host), HWP_HOST_NAME for each host, and HWP_HOSTS, all
    of it as JSON: {"db": {"resource": …, "protocol": "ssh", "address": …, "port": …, "user": …,
    "key_file": …, "properties": {…}, "cpus": …, "memory_bytes": …}}.

    The exit code is the command's. If the lease is lost, the command is stopped (SIGTERM, 10 s
    later SIGKILL), and the exit code is 8.

    With --allocation it runs on what is booked or allocated already: it waits until the booking
    begins, then holds it. Ctrl-C before that leaves the booking as it is.

    \b
    Examples:
      hwp run --cpus 4 -- pytest -x
      hwp run --host db:cpus=8 --host edge:label=jetson -- ./bench.sh
      hwp run --allocation a-17 -- ./soak.sh
    """  # noqa: D301  # click wants the character
    wanted = _Wanted(demands, request, allocation_id, token)
    wanted.check()
    if (found := shutil.which(command[0])) is None:
        there = os.path.exists(command[0])
        why = "cannot be run" if there else "is not a command here"
        click.echo(f"hwp: {command[0]} {why}; nothing was asked for", err=True)
        return ExitCode.CANNOT_RUN if there else ExitCode.NO_SUCH_COMMAND
    return run(lab, _run(lab, wanted, (found, *command[1:])))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the command is to run on: something new, or what is there already."""

    demands: DemandMapping
    request: Mapping[str, Any]
    allocation_id: str | None
    token: str | None

    def check(self) -> None:
        """Refuses both at once."""
        if self.allocation_id is None:
            if self.token:
                raise click.UsageError("--token is the token of an --allocation")
        elif self.demands != NOTHING_WANTED or any(self.request.values()):
            raise click.UsageError(
                "--allocation takes up what has been asked for already: leave out what is wanted"
                " and how"
            )

    def ask(self, lab: AsyncLab) -> Ask:
        """Gives what asks the lab for it."""
        if self.allocation_id is None:
            return functools.partial(lab.allocate, demands=self.demands, **self.request)
        token = self.token or token_for(self.allocation_id)
        if not token:
            raise NotAllowed(
                f"{self.allocation_id}: no token for it here; give --token or HWP_TOKEN",
                reason="NO_TOKEN",
            )
        from hwprovisioner.client.commands.own_allocations import OwnAllocations

        key_file = OwnAllocations.of_user().key_file(self.allocation_id) or None
        return functools.partial(lab.attach, self.allocation_id, token, ssh_key=key_file)


async def _run(options: LabOptions, wanted: _Wanted, command: tuple[str, ...]) -> int:
    from hwprovisioner.client.commands.hold_open import hardware
    from hwprovisioner.client.commands.leased_process import LeasedProcess

    async with options.lab(patient=True) as lab:
        async with hardware(wanted.ask(lab), options) as held:
            if not options.quiet:
                names = ", ".join(f"{name}={found}" for name, found in held.resources.items())
                click.echo(f"allocation {held.allocation_id}: {names}", err=True)
            environment = {**os.environ, **told(held, lab.settings)}
            process = LeasedProcess(command, environment)
            return await process.run(held.session.over, lambda: held.lost)


def told(held: AsyncHardware, settings: Settings) -> dict[str, str]:
    """Gives what a command is told through its environment."""
    hosts = held.hosts
    found = {
        "HWP_ALLOCATION_ID": held.allocation_id,
        "HWP_TOKEN": held.token,
        "HWP_HOSTS": json.dumps({name: _host(host.facts) for name, host in hosts.items()}),
        # What it starts in its turn talks to the same lab.
        "ALLOCATE_API": settings.allocate_address,
        "HEARTBEAT_API": settings.heartbeat_address,
    }
    for name, host in hosts.items():
        found[f"HWP_HOST_{name.upper().replace('-', '_')}"] = host.address
    if len(hosts) == 1:
        found["HWP_HOST"] = held.host.address
    return found


def _host(facts: HostFacts) -> dict[str, object]:
    connection = facts.connection
    return {
        "resource": facts.resource,
        "protocol": connection.protocol,
        "address": connection.address,
        "port": connection.port,
        "user": connection.user,
        "key_file": connection.key_file,
        "properties": dict(connection.properties),
        "cpus": facts.cpus,
        "memory_bytes": facts.memory_bytes,
    }
