"""The command `hwp up`, which the client's command line finds here, and loads for `hwp --help`."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

_PORT = click.IntRange(0, 65535)
_FILE = click.Path()

_EPILOG = """\b
Environment: HWP_REDIS_URL, REDIS_URL or REDIS_HOST with REDIS_PORT, REDIS_DB, REDIS_USER,
REDIS_PASSWORD (that Redis is used, and never another), HWP_REDIS_SERVER (the program to embed),
HWP_STATE_DIR, HWP_BIND (127.0.0.1), HWP_ALLOCATE_PORT (8080), HWP_HEARTBEAT_PORT (7080),
HWP_MANAGER_PORT (9080), HWP_WORKERS (processes of heartbeat: 1), CONFIG_FILE, HWP_LAB,
HWP_LOG_LEVEL.
\b
Exit status: 0 stopped as asked, 1 it could not run or something had to be killed, 2 wrong usage,
130 a second Ctrl-C killed everything."""


@click.command(short_help="Run the whole suite on this machine.", epilog=_EPILOG)
@click.option("--redis", metavar="URL", help="Use this Redis, and never another.")
@click.option("--config", type=_FILE, help="resources.yml; else this machine is lent.")
@click.option("--no-manager", is_flag=True, help="Run no resource manager.")
@click.option("--port-allocate", type=_PORT, help="0: any that is free.  [default: 8080]")
@click.option("--port-heartbeat", type=_PORT, help="0: any that is free.  [default: 7080]")
@click.option("--port-manager", type=_PORT, help="0: any that is free.  [default: 9080]")
@click.option("--state-dir", type=_FILE, help="Keeps the state between runs.")
@click.option("--reload", is_flag=True, help="Restart the services when their source changes.")
@click.option("--write-ports", type=_FILE, help="Write the addresses to this file, as JSON.")
def up(
    redis: str | None,
    config: str | None,
    no_manager: bool,
    port_allocate: int | None,
    port_heartbeat: int | None,
    port_manager: int | None,
    state_dir: str | None,
    reload: bool,
    write_ports: str | None,
) -> None:
    """Run the whole suite on this machine, until Ctrl-C.

    Starts a server for state (embedded, unless a Redis is named), allocate, heartbeat and a
    resource manager, says on which ports they listen, and keeps them running. No root, no Docker;
    nothing acknowledged is lost when it is stopped or killed.
    """
    from pathlib import Path

    ports = {"allocate": port_allocate, "heartbeat": port_heartbeat, "manager": port_manager}
    _run(
        redis=redis,
        config=Path(config) if config else None,
        manager=not no_manager,
        ports={name: port for name, port in ports.items() if port is not None},
        folder=Path(state_dir).expanduser() if state_dir else None,
        reload=reload,
        write_ports=Path(write_ports) if write_ports else None,
    )


def _run(**options: Any) -> NoReturn:  # noqa: ANN401  # the fields of `Options`, loaded here
    import asyncio

    try:
        from .console import TerminalConsole
        from .errors import SuiteError
        from .up import Options, run_up
    except ImportError as error:
        raise click.ClickException(
            f"up: {error}; it needs more than the client: pip install 'hardware-provisioner[suite]'"
        ) from error
    try:
        status = asyncio.run(run_up(Options(**options), os.environ, TerminalConsole()))
    except SuiteError as error:
        raise click.ClickException(f"up: {error}") from error
    sys.exit(status)
