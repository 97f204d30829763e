"""The system's ssh and scp, led to a host through the lab."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.commands.which_host import FoundHost
from hwprovisioner.client.errors import WrongHost
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.ssh_trust import ANY_KEY

_MOST_KNOWN = 1_000


def options_for(host: FoundHost, known_hosts: Path) -> list[str]:
    """Gives the options that lead ssh or scp to a host called `alias_of(host)`.

    Args:
        host: Where to.
        known_hosts: A file for host keys, which is written to.

    Raises:
        WrongHost: The host is not reached by SSH.
    """
    connection = host.connection
    if connection.protocol != "ssh":
        raise WrongHost(
            f"host {host.full_name} is reached by {connection.protocol or 'nothing'!r}, not by ssh;"
            " `hwp forward` reaches its ports, `hwp console` its console",
            reason="PROTOCOL_UNKNOWN",
            metadata={"host": host.name, "protocol": connection.protocol},
        )
    through = [sys.executable, "-m", "hwprovisioner.client.cli", "forward", "--quiet", "--stdio"]
    through += [host.full_name, str(connection.port or 22)]
    # ssh expands what follows a percent sign.
    options = [f"ProxyCommand={shlex.join(through).replace('%', '%%')}"]
    options += [f"UserKnownHostsFile={shlex.quote(str(known_hosts))}"]
    options += [_checking(host, known_hosts)]
    if connection.user:
        options += [f"User={connection.user}"]
    if connection.key_file:
        key_file = os.path.expanduser(connection.key_file)
        options += [f"IdentityFile={shlex.quote(key_file)}", "IdentitiesOnly=yes"]
    return [word for option in options for word in ("-o", option)]


def alias_of(host: FoundHost) -> str:
    """Gives what ssh is to call a host: no two allocations share it."""
    return f"{host.name}.{host.allocation_id}"


def known_hosts_file() -> Path:
    """Gives the file for the host keys of held hosts, which are nobody else's business."""
    base = os.environ.get("XDG_STATE_HOME", "").strip() or os.path.expanduser("~/.local/state")
    return Path(base) / "hwprovisioner" / "known_hosts"


def become(argv: Sequence[str], host: FoundHost, settings: Settings) -> int:
    """Becomes ssh or scp, and returns only if that fails.

    What leads it through the lab finds the token in its environment, where nobody else looks.
    """
    if (program := shutil.which(argv[0])) is None:
        click.echo(f"hwp: {argv[0]} is not here: install OpenSSH's client", err=True)
        return ExitCode.NO_SUCH_COMMAND
    environment = {
        **os.environ,
        "ALLOCATE_API": settings.allocate_address,
        "HWP_ALLOCATION_ID": host.allocation_id,
        "HWP_TOKEN": host.token,
    }
    sys.stdout.flush()
    try:
        os.execve(program, list(argv), environment)  # noqa: S606  # no shell is wanted
    except OSError as error:
        click.echo(f"hwp: {program} cannot be run: {error.strerror}", err=True)
        return ExitCode.CANNOT_RUN


def _checking(host: FoundHost, known_hosts: Path) -> str:
    """Has the host's key checked as far as the lab knows it; else the first one is trusted."""
    key = host.connection.properties.get("host_key", "")
    known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if key == ANY_KEY:
        return "StrictHostKeyChecking=no"
    if not key:
        return "StrictHostKeyChecking=accept-new"
    alias = alias_of(host)
    try:
        lines = known_hosts.read_text(errors="replace").splitlines(keepends=True)
    except OSError:
        lines = []
    # Only the lab's word counts. Those of allocations that ended long ago make room.
    others = [line for line in lines if not line.startswith(f"{alias} ")][-_MOST_KNOWN:]
    wanted = [*others, *(f"{alias} {line}\n" for line in key.splitlines() if line.strip())]
    if lines != wanted:
        known_hosts.write_text("".join(wanted))
    return "StrictHostKeyChecking=yes"
