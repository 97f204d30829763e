"""`hwp forward`: local ports that lead to ports of a host, through the lab."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.commands.which_host import FoundHost, complete_host, find_host, with_token
from hwprovisioner.client.errors import LabError, LeaseLost
from hwprovisioner.client.printable import printable

if TYPE_CHECKING:
    from hwprovisioner.client.lab import AsyncLab

Ports = tuple[int, int]
"""A local port, 0 for any that is free, and one of the host."""


def _read_ports(
    context: click.Context, parameter: click.Parameter, words: tuple[str, ...]
) -> tuple[Ports, ...]:
    """Reads `PORT`, `LOCAL:REMOTE` and `:REMOTE`."""
    return tuple(_read(word) for word in words)


def _read(word: str) -> Ports:
    local, colon, remote = word.rpartition(":")
    numbers = (local or "0" if colon else remote), remote
    if not all(number.isdecimal() and int(number) < 65536 for number in numbers):
        raise click.BadParameter(
            f"{word!r}: write PORT, LOCAL:PORT, or :PORT for any local port; from 1 to 65535"
        )
    if int(remote) == 0:
        raise click.BadParameter(f"{word!r}: a host's port is from 1 to 65535")
    return int(numbers[0]), int(numbers[1])


@click.command(short_help="Have local ports lead to ports of a host.")
@click.argument("host", shell_complete=complete_host)
@click.argument("ports", nargs=-1, required=True, callback=_read_ports, metavar="[LOCAL:]PORT…")
@click.option("--stdio", is_flag=True, help="No local port: stdin and stdout are the connection.")
@with_token
@with_lab
def forward(
    lab: LabOptions, host: str, ports: tuple[Ports, ...], stdio: bool, token: str | None
) -> int:
    """Have local ports lead to TCP ports of a host that you hold, until Ctrl-C.

    Everything goes through the lab, so the host need not be reachable from here. PORT has the same
    number at both ends, LOCAL:PORT another one here, and :PORT any that is free, which is printed.
    With --stdio this is one connection, as ssh wants it of a ProxyCommand.

    HOST is ALLOCATION/HOST, or less where it is clear: see `hwp console --help`.
    """
    if not stdio:
        return run(lab, _forward(lab, host, ports, token))
    if len(ports) > 1:
        raise click.UsageError("--stdio is one connection: name one port")
    return run(lab, _stdio(lab, host, ports[0][1], token))


async def _forward(
    options: LabOptions, word: str, ports: tuple[Ports, ...], token: str | None
) -> None:
    from hwprovisioner.client.forwarding import AsyncForward

    def trouble(error: LabError) -> None:
        click.echo(f"hwp: {printable(error.message)}", err=True)

    async with options.lab() as lab, contextlib.AsyncExitStack() as stack:
        host = await find_host(lab, word, token)
        for local, remote in ports:
            block = AsyncForward(host.reach, remote, local, on_trouble=trouble)
            opened = await stack.enter_async_context(block)
            click.echo(f"{opened.address}:{opened.port} -> {host.full_name}:{remote}")
        # It outlives a lab that is away for a while, as what is allocated does.
        watching = await stack.enter_async_context(options.lab(patient=True))
        await _until_over(watching, host)


async def _until_over(lab: AsyncLab, host: FoundHost) -> None:
    """Waits until the host is no longer held.

    Raises:
        LeaseLost: So it is.
    """
    from hwprovisioner.client.failures import end_word

    async for update in lab.watch_allocation(host.allocation_id, host.token):
        if update.WhichOneof("event") == "ended":
            word, detail = end_word(update.ended.reason), update.ended.detail
            raise LeaseLost(word, detail, host.allocation_id)


async def _stdio(options: LabOptions, word: str, port: int, token: str | None) -> None:
    import asyncio

    from hwprovisioner.client.commands.stdio import StandardInput, StandardOutput

    async with options.lab() as lab:
        host = await find_host(lab, word, token)
        async with await host.reach.connect(port) as tunnel:
            source, sink = StandardInput(), StandardOutput()

            async def send() -> None:
                while data := await source.read():
                    await tunnel.write(data)
                await tunnel.write_eof()

            sending = asyncio.create_task(send())
            try:
                # Nobody needs what is still to be sent to a host that has closed its side.
                while data := await tunnel.read():
                    await sink.write(data)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
