"""`hwp ssh` and `hwp cp`: logging in to a host, and copying files, through the lab."""

from __future__ import annotations

import os
import re

import click

from hwprovisioner.client.commands.lab_options import LabOptions, run, with_lab
from hwprovisioner.client.commands.which_host import FoundHost, complete_host, find_host, with_token

#: `HOST:PATH` and `ALLOCATION/HOST:PATH`; `./a:b` is a file here.
_REMOTE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]*)?):(.*)", re.DOTALL)


@click.command(
    short_help="Log in to a host, or run a command there, by ssh through the lab.",
    # What follows HOST is for the host, dashes and all, as with ssh.
    context_settings={"allow_interspersed_args": False},
)
@with_token
@with_lab
@click.argument("host", shell_complete=complete_host)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND…]")
def ssh(lab: LabOptions, host: str, command: tuple[str, ...], token: str | None) -> int:
    """Log in to a host that you hold, or run a command there, with the system's ssh.

    It goes through the lab, so the host need not be reachable from here, with the user and the key
    that belong to the allocation. The exit code is that of ssh.

    Options of hwp stand before HOST: what follows is the command. HOST is ALLOCATION/HOST, or less
    where it is clear: see `hwp console --help`.
    """
    from hwprovisioner.client.commands.ssh_client import (
        alias_of,
        become,
        known_hosts_file,
        options_for,
    )

    found = _found(lab, host, token)
    if isinstance(found, int):
        return found
    words = command[1:] if command[:1] == ("--",) else command
    argv = ["ssh", *options_for(found, known_hosts_file()), "--", alias_of(found), *words]
    return become(argv, found, lab.lab().settings)


@click.command(short_help="Copy files to a host or from it, through the lab.")
@click.argument("words", nargs=-1, metavar="SOURCE… TARGET")
@click.option("--recursive", "-r", is_flag=True, help="Folders, too.")
@click.option("-O", "old", is_flag=True, help="By scp's older protocol, for a host without SFTP.")
@with_token
@with_lab
def cp(
    lab: LabOptions, words: tuple[str, ...], recursive: bool, old: bool, token: str | None
) -> int:
    """Copy files to a host that you hold, or from it, with the system's scp through the lab.

    HOST:PATH is a file there, PATH one here (`./a:b` if there is a colon in its name, `./-a` if it
    begins with a dash).

    \b
    Examples:
      hwp cp image.bin db:/tmp/
      hwp cp -r a-17/db:/var/log/ ./logs
    """  # noqa: D301  # click wants the character
    from hwprovisioner.client.commands.ssh_client import (
        alias_of,
        become,
        known_hosts_file,
        options_for,
    )

    if len(words) < 2:
        raise click.UsageError(
            "name what is copied and where to, as in `hwp cp image.bin db:/tmp/`"
        )
    remotes = [_REMOTE.fullmatch(word) for word in words]
    hosts = {match[1] for match in remotes if match}
    if len(hosts) != 1 or all(remotes):
        raise click.UsageError("name one host, as HOST:PATH, in SOURCE or in TARGET, not in both")
    folders = [word for word in words[:-1] if os.path.isdir(word)]
    if folders and not recursive and not any(remotes[:-1]):
        raise click.UsageError(f"{folders[0]} is a folder: -r copies those, too")
    found = _found(lab, hosts.pop(), token)
    if isinstance(found, int):
        return found
    flags = [flag for flag, is_set in (("-r", recursive), ("-O", old)) if is_set]
    argv = ["scp", *flags, *options_for(found, known_hosts_file()), "--"]
    for word, match in zip(words, remotes, strict=True):
        local = word if word.startswith(("/", "./", "../")) else f"./{word}"
        argv.append(f"{alias_of(found)}:{match[2]}" if match else local)
    return become(argv, found, lab.lab().settings)


def _found(options: LabOptions, word: str, token: str | None) -> FoundHost | int:
    """Finds a host, or gives the exit code of a search that was interrupted."""
    found: list[FoundHost] = []

    async def find() -> None:
        async with options.lab() as lab:
            found.append(await find_host(lab, word, token))

    return run(options, find()) or found[0]
