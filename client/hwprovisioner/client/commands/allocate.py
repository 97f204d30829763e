"""`hwp allocate`: hardware that is held from here."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from hwprovisioner.client.commands.demand_options import with_demands
from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.commands.request_options import with_request

if TYPE_CHECKING:
    from hwprovisioner.client.channel import Channels
    from hwprovisioner.client.demands import DemandMapping
    from hwprovisioner.v1.allocate_service_pb2 import AllocateRequest
    from hwprovisioner.v1.allocation_pb2 import Allocation

FORMATS = ("text", "json", "yaml")


@click.command(short_help="Ask for hardware, and hold it until Ctrl-C.")
@with_demands
@with_request
@click.option("--detach", "-d", is_flag=True, help="Print it and end; nobody beats: see --ttl.")
@click.option("--no-wait", is_flag=True, help="Ask, print the id and end; nobody beats: see --ttl.")
@click.option("--output", "-o", type=click.Choice(FORMATS), default="text", help="[text]")
@with_lab
def allocate(
    lab: LabOptions,
    demands: DemandMapping,
    request: Mapping[str, Any],
    detach: bool,
    no_wait: bool,
    output: str,
) -> int:
    """Ask for hardware, wait until it is ready, print it, and hold it until Ctrl-C.

    What is printed has the connections and the token. Ctrl-C gives the hardware back (exit code 0
    once it was ready, 130 before). If the lease is lost, the exit code is 8.

    With --detach the hardware outlives this command, but nobody sends heartbeats: it is taken back
    when the lease (--ttl, at most a day) ends, or by `hwp release ID`. --no-wait does not even
    wait for it: follow it with `hwp watch ID`.

    \b
    Examples:
      hwp allocate --cpus 8 --memory 16GiB
      hwp allocate --host db:cpus=8 --host edge:label=jetson --wait 10m
      hwp allocate --gpu rtx4000 --detach --ttl 2h -o json
    """  # noqa: D301  # click wants the character
    if no_wait:
        return run(lab, _submit(lab, demands, request, output))
    return run(lab, _hold(lab, demands, request, output, detach=detach))


async def _hold(
    options: LabOptions,
    demands: DemandMapping,
    request: Mapping[str, Any],
    output: str,
    *,
    detach: bool,
) -> int:
    import asyncio

    from hwprovisioner.client.commands.hold_open import hardware
    from hwprovisioner.client.commands.kept_key import with_kept_key
    from hwprovisioner.client.holder_key import fill_in

    async with options.lab(patient=True) as lab, with_kept_key(request) as asked:
        ask = functools.partial(lab.allocate, demands=demands, **asked)
        async with hardware(ask, options, detach=detach) as held:
            allocation = await lab.get_allocation(held.allocation_id, held.token)
            fill_in(allocation.hosts, held.key)
            show(allocation, held.token, output)
            if detach:
                return 0
            if not options.quiet:
                click.echo("held until Ctrl-C", err=True)
            try:
                await held.session.over()
            except asyncio.CancelledError:
                return 0  # Asked to end it: that is how it ends when all is well.
            held.check()
    return 0


async def _submit(
    options: LabOptions,
    demands: DemandMapping,
    request: Mapping[str, Any],
    output: str,
) -> int:
    from hwprovisioner.client import request as requests
    from hwprovisioner.client.channel import Channels
    from hwprovisioner.client.commands.kept_key import with_kept_key
    from hwprovisioner.client.commands.own_allocations import OwnAllocations
    from hwprovisioner.client.demands import build
    from hwprovisioner.client.holder_key import NO_KEY, read

    async with options.lab() as lab, with_kept_key(request) as asked:
        file = asked.pop("ssh_key")
        key = read(file) if file else NO_KEY
        message = requests.build(build(demands), requestor=requests.this_process(), **asked)
        message.ssh_public_key = key.public
        settings = lab.settings
        channels = Channels(settings.allocate_address, settings.heartbeat_address)
        try:
            allocation, token = await _first_word(channels, message, settings.allocate_address)
        finally:
            await channels.close()
    OwnAllocations.of_user().add(allocation.id, token, key_file=key.file)
    show(allocation, token, output)
    return 0


async def _first_word(
    channels: Channels, message: AllocateRequest, address: str
) -> tuple[Allocation, str]:
    """Asks, and gives what the lab answers first."""
    import grpc

    from hwprovisioner.client.failures import from_rpc

    call = channels.allocate.Allocate(message)
    try:
        async for response in call:
            return response.update.allocation, response.token
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error, address) from None
    finally:
        call.cancel()
    raise click.ClickException("the lab ended the stream without a word")


def show(allocation: Allocation, token: str, form: str) -> None:
    """Writes an allocation with its token to stdout."""
    from hwprovisioner.client.commands import render
    from hwprovisioner.client.facts import read_hosts
    from hwprovisioner.client.words import word
    from hwprovisioner.v1.allocation_pb2 import AllocationState

    if form != "text":
        render.show(render.as_data(allocation) | {"token": token}, form)
        return
    click.echo(f"id      {allocation.id}")
    click.echo(f"token   {token}")
    click.echo(f"state   {word(AllocationState, allocation.state)}")
    for name, host in read_hosts(allocation.hosts).items():
        connection = host.connection
        at = f"{connection.user}@" if connection.user else ""
        at += connection.address or connection.protocol
        at += f":{connection.port}" if connection.port else ""
        click.echo(
            f"host    {name}  {host.resource}  {connection.protocol or 'no connection'}  {at}"
        )
