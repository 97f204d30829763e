"""The command line of a service: help, version, settings from the environment, then its life."""

import argparse
import asyncio
import functools
import importlib.metadata
import os
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from hwprovisioner.serving import logs
from hwprovisioner.serving.lifecycle import WRONG_SETTINGS, run
from hwprovisioner.serving.settings import EnvReader, Readable, SettingsError, from_env, help_text


@dataclass(frozen=True, slots=True)
class ServingSettings:
    """What every service lets one set."""

    bind: str
    grace_ms: int
    log_format: str
    log_level: str

    @classmethod
    def read(cls, env: EnvReader) -> Self:
        """Read HWP_BIND, HWP_GRACE, HWP_LOG_FORMAT and HWP_LOG_LEVEL."""
        return cls(
            # Nothing is authenticated by default, so only this machine reaches it by default.
            bind=env.text("HWP_BIND", "address to listen on; 0.0.0.0 for all", default="127.0.0.1"),
            # Docker kills 10 s after it asked.
            grace_ms=env.duration_ms(
                "HWP_GRACE", "how long calls may go on after a stop signal", default="5s", high="1h"
            ),
            log_format=env.choice("HWP_LOG_FORMAT", "log", default="text", choices=logs.FORMATS),
            log_level=env.choice("HWP_LOG_LEVEL", "log from", default="info", choices=logs.LEVELS),
        )


class ServiceSettings(Readable, Protocol):
    """Settings of a service, among them those of every service."""

    @property
    def serving(self) -> ServingSettings:
        """Those of every service."""


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


def run_service(
    name: str,
    summary: str,
    settings_type: type[SettingsT],
    main: Callable[[SettingsT, asyncio.Event], Coroutine[Any, Any, None]],
    *,
    loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    arguments: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Do all that a service's `__main__` does, and return the exit status.

    Args:
        name: of the command.
        summary: one sentence for `--help`.
        settings_type: read from the environment.
        main: the service, until the event is set.
        loop: makes the event loop that it runs on.
        arguments: of the command line; those of the process by default.
        environ: that of the process by default.
    """
    parser = argparse.ArgumentParser(
        prog=name,
        description=summary,
        epilog=help_text(settings_type),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = importlib.metadata.version("hardware-provisioner")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version}")
    parser.parse_args(arguments)
    try:
        settings = from_env(settings_type, os.environ if environ is None else environ)
    except SettingsError as error:
        return _refuse(name, [*error.faults, f"`{name} --help` lists all settings"])
    logs.configure(log_format=settings.serving.log_format, level=settings.serving.log_level)
    return run(functools.partial(main, settings), loop=loop)


def _refuse(name: str, faults: Sequence[str]) -> int:
    sys.stderr.writelines(f"{name}: {fault}\n" for fault in faults)
    return WRONG_SETTINGS
