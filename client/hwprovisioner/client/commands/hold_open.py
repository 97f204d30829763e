"""Waiting for hardware as `allocate` and `run` do: with a waiting line, and remembered."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

import click

from hwprovisioner.client.commands.lab_options import LabOptions
from hwprovisioner.client.commands.own_allocations import OwnAllocations
from hwprovisioner.client.commands.waiting import WaitingLine
from hwprovisioner.client.printable import printable

if TYPE_CHECKING:
    from hwprovisioner.client.allocating import AsyncAllocating, AsyncHardware
    from hwprovisioner.client.telling import NoticeCallback, UpdateCallback
    from hwprovisioner.v1.heartbeat_service_pb2 import Notice


class Ask(Protocol):
    """Asks for something new, or for what is there already: `Lab.allocate`, `Lab.attach`."""

    def __call__(self, *, on_update: UpdateCallback, on_notice: NoticeCallback) -> AsyncAllocating:
        """Makes the request, which is sent when its block begins."""
        ...


@contextlib.asynccontextmanager
async def hardware(
    ask: Ask, options: LabOptions, *, detach: bool = False
) -> AsyncIterator[AsyncHardware]:
    """Waits for hardware, and gives it back at the end unless it is to live on.

    Raises:
        LabError: It cannot be had.
    """
    own = OwnAllocations.of_user()

    def notice(said: Notice) -> None:
        if not options.quiet:
            click.echo(f"notice: {printable(said.message)}", err=True)

    with WaitingLine(quiet=options.quiet) as line:
        allocating = ask(on_update=line.update, on_notice=notice)
        held = await allocating.__aenter__()
    own.add(held.allocation_id, held.token, key_file=held.key.file)
    done = False
    try:
        yield held
        done = True
    finally:
        # What was to live on is given back, too, if nobody has been told of it.
        if not (detach and done):
            await allocating.abandon()
            own.remove(held.allocation_id)
