"""`hwp console`: a host's serial console in this terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.commands.which_host import complete_host, find_host, with_token

if TYPE_CHECKING:
    from hwprovisioner.client.commands.stdio import StandardInput, StandardOutput
    from hwprovisioner.client.tunnel import Tunnel


def _read_escape(context: click.Context, parameter: click.Parameter, text: str) -> bytes:
    """Reads `^]` for Ctrl-], or `none`."""
    if text.lower() == "none":
        return b""
    letter = text[1:].upper()
    if text[:1] != "^" or len(letter) != 1 or not "@" <= letter <= "_":
        raise click.BadParameter(
            f"{text!r}: write ^ and one of @ A-Z [ \\ ] ^ _, such as ^], or none"
        )
    return bytes([ord(letter) - ord("@")])


@click.command(short_help="Use a host's serial console.")
@click.argument("host", shell_complete=complete_host)
@click.option(
    "--escape",
    callback=_read_escape,
    default="^]",
    metavar="KEY|none",
    help="The key that leaves.  [^], which is Ctrl-]]",
)
@with_token
@with_lab
def console(lab: LabOptions, host: str, escape: bytes, token: str | None) -> int:
    """Use the serial console of a host that you hold, if its resource has one.

    Every key goes to the host, Ctrl-C too; Ctrl-] leaves. Without a terminal, stdin goes to the
    host and its words to stdout, until the console ends or this is stopped.

    HOST is ALLOCATION/HOST; or ALLOCATION, if it has one host; or HOST, of the allocation that
    `hwp run` runs in, else of the only one that you made here and that has such a host.
    """
    return run(lab, _console(lab, host, escape, token))


async def _console(options: LabOptions, word: str, escape: bytes, token: str | None) -> None:
    from hwprovisioner.client.commands.stdio import StandardInput, StandardOutput
    from hwprovisioner.client.commands.terminal import raw

    async with options.lab() as lab:
        host = await find_host(lab, word, token)
        async with await host.reach.console() as tunnel:
            with raw() as is_raw:
                if is_raw and not options.quiet:
                    _say(f"console of {host.full_name}; {_key(escape)} leaves")
                await _talk(tunnel, StandardInput(), StandardOutput(), escape if is_raw else b"")
            if is_raw and not options.quiet:
                click.echo(f"\nhwp: left the console of {host.full_name}", err=True)


async def _talk(tunnel: Tunnel, keys: StandardInput, screen: StandardOutput, escape: bytes) -> None:
    """Passes bytes on until the host's end or the escape."""
    import asyncio

    async def send() -> bool:
        """Says whether this is to end now."""
        while data := await keys.read():
            before, found, _ = data.partition(escape) if escape else (data, b"", b"")
            await tunnel.write(before)
            if found:
                return True
        await tunnel.write_eof()
        return False

    async def show() -> bool:
        while data := await tunnel.read():
            await screen.write(data)
        return True

    pending = {asyncio.create_task(send()), asyncio.create_task(show())}
    try:
        is_over = False
        while not is_over:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            is_over = any([task.result() for task in done])
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _key(escape: bytes) -> str:
    return f"Ctrl-{chr(escape[0] + ord('@'))}" if escape else "the end of the console"


def _say(line: str) -> None:
    click.echo(f"hwp: {line}\r", err=True)
