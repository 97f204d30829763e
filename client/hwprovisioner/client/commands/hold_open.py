"""Asking for hardware as `allocate` and `run` do: with a waiting line, and remembered."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from hwprovisioner.client.commands.lab_options import LabOptions
from hwprovisioner.client.commands.own_allocations import OwnAllocations
from hwprovisioner.client.commands.waiting import WaitingLine
from hwprovisioner.client.printable import printable

if TYPE_CHECKING:
    from hwprovisioner.client.allocating import AsyncHardware
    from hwprovisioner.client.lab import AsyncLab
    from hwprovisioner.v1.heartbeat_service_pb2 import Notice


@contextlib.asynccontextmanager
async def hardware(
    lab: AsyncLab,
    options: LabOptions,
    demands: Mapping[str, Mapping[str, object]],
    request: Mapping[str, Any],
    *,
    detach: bool = False,
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
        allocating = lab.allocate(
            demands=demands, on_update=line.update, on_notice=notice, **request
        )
        held = await allocating.__aenter__()
    own.add(held.allocation_id, held.token)
    done = False
    try:
        yield held
        done = True
    finally:
        # What was to live on is given back, too, if nobody has been told of it.
        if not (detach and done):
            await allocating.abandon()
            own.remove(held.allocation_id)
