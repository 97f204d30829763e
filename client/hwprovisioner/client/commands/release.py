"""`hwp release`: giving allocations back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from hwprovisioner.client.commands.exit_codes import ExitCode, code_for
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.errors import LabError

if TYPE_CHECKING:
    from hwprovisioner.client.commands.own_allocations import OwnAllocations
    from hwprovisioner.client.lab import AsyncLab


def complete_own(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Completes the ids of this user's allocations."""
    from hwprovisioner.client.commands.own_allocations import OwnAllocations

    ids = OwnAllocations.of_user().tokens()
    return [CompletionItem(each) for each in ids if each.startswith(incomplete)]


@click.command(short_help="Give allocations back.")
@click.argument("ids", nargs=-1, metavar="[ID]…", shell_complete=complete_own)
@click.option("--token", envvar="HWP_TOKEN", metavar="TOKEN", help="Its token.  [HWP_TOKEN]")
@click.option("--now", "at_once", is_flag=True, help="Even what is kept (hwp hold).")
@click.option("--all", "everything", is_flag=True, help="All that this user made here.")
@with_lab
def release(
    lab: LabOptions, ids: tuple[str, ...], token: str | None, at_once: bool, everything: bool
) -> int:
    """Give allocations back; their hosts are cleaned and lent again. Cancels bookings, too.

    The token comes from --token, else HWP_TOKEN, else from what this user allocated on this
    machine. Giving back what has ended changes nothing. What is kept (`hwp hold`) goes on until
    then, and ends by itself; --now ends it.
    """
    if bool(ids) == everything:
        raise click.UsageError("name the allocations, or say --all")
    return run(lab, _release(lab, ids, token, at_once=at_once))


async def _release(
    options: LabOptions, ids: tuple[str, ...], token: str | None, *, at_once: bool
) -> int:
    from hwprovisioner.client.commands.own_allocations import OwnAllocations

    own = OwnAllocations.of_user()
    tokens = own.tokens()
    codes = [ExitCode.OK]
    async with options.lab() as lab:
        # A token that is given is meant for what is named.
        for allocation_id in ids or tuple(tokens):
            secret = (token if ids else None) or tokens.get(allocation_id)
            codes.append(await _release_one(lab, own, allocation_id, secret, at_once=at_once))
    return max(codes)


async def _release_one(
    lab: AsyncLab, own: OwnAllocations, allocation_id: str, secret: str | None, *, at_once: bool
) -> ExitCode:
    """Gives one back, or says why not; only a lab that is away ends it all."""
    from hwprovisioner.client.commands.shown import kept

    if not secret:
        _say(f"{allocation_id}: no token for it here; give --token or HWP_TOKEN")
        return ExitCode.NOT_ALLOWED
    try:
        released = await lab.release(allocation_id, secret, at_once=at_once)
    except LabError as error:
        code = code_for(error)
        if code is ExitCode.AWAY:
            raise
        _say(error.message)
        if code is ExitCode.NOT_FOUND:
            own.remove(allocation_id)
        return code
    if until := kept(released):
        click.echo(f"{allocation_id} {until}; --now ends it at once")
        return ExitCode.OK
    own.remove(allocation_id)
    click.echo(f"{allocation_id} released")
    return ExitCode.OK


def _say(line: str) -> None:
    click.echo(f"hwp: {line}", err=True)


def token_for(allocation_id: str) -> str:
    """Gives the token of an allocation as far as it is known here; empty if it is not."""
    from hwprovisioner.client.commands.own_allocations import OwnAllocations

    return OwnAllocations.of_user().tokens().get(allocation_id, "") or os.environ.get(
        "HWP_TOKEN", ""
    )
