"""Taking resources out of service, and putting them back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from hwprovisioner.client.commands.completing import complete_resources
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab

if TYPE_CHECKING:
    from hwprovisioner.client.lab import AsyncLab
    from hwprovisioner.v1.resource_pb2 import Resource

_name = click.argument("name", shell_complete=complete_resources)
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why, for people to read.")


@click.command(short_help="Take a resource out of service.")
@_name
@_reason
@click.option("--deadline", metavar="TIME", help="End then what holds it: 14:00, 2h.  [never]")
@with_lab
def drain(lab: LabOptions, name: str, reason: str, deadline: str | None) -> int:
    """Take a resource out of service: what holds it may stay, nothing new is granted.

    Once nothing holds it, it is in maintenance. With a deadline, what holds it then is ended
    (REVOKED); its holders are told by their heartbeats. A TIME is 14:00 (the next such time),
    2026-05-01T14:00, or a span from now such as 2h. Draining again changes the deadline.
    """
    return _run(lab, lambda it: it.drain_resource(name, reason, deadline=deadline))


@click.command(short_help="Take a resource out of service now.")
@_name
@_reason
@with_lab
def maintenance(lab: LabOptions, name: str, reason: str) -> int:
    """Take a resource out of service now: what holds it is ended (REVOKED), without notice.

    As soon as it is cleaned, it is in maintenance. `hwp drain` waits for its holders.
    """
    return _run(lab, lambda it: it.drain_resource(name, reason, at_once=True))


@click.command(short_help="Lend a resource no more.")
@_name
@_reason
@with_lab
def quarantine(lab: LabOptions, name: str, reason: str) -> int:
    """Lend a resource no more until a person says `hwp undrain`. What holds it may stay."""
    return _run(lab, lambda it: it.quarantine_resource(name, reason))


@click.command(short_help="Put a resource back into service.")
@_name
@with_lab
def undrain(lab: LabOptions, name: str) -> int:
    """Put a resource back into service, drained or quarantined.

    One that is quarantined or suspected is lent again once its manager has found it well.
    """
    return _run(lab, lambda it: it.enable_resource(name))


def _run(options: LabOptions, doing: Callable[[AsyncLab], Awaitable[Resource]]) -> int:
    return run(options, _show(options, doing))


async def _show(options: LabOptions, doing: Callable[[AsyncLab], Awaitable[Resource]]) -> None:
    from hwprovisioner.client.commands.shown import resource_state

    async with options.lab() as lab:
        resource = await doing(lab)
    click.echo(f"{resource.spec.name}: {resource_state(resource)}")
