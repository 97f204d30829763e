"""Options of every command that talks to a lab, and how such commands run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from hwprovisioner.client.lab import AsyncLab

#: A person at a terminal wants to know soon that nobody answers; a restart still fits in.
CONTACT_LIMIT_S = 3.0

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class LabOptions:
    """Where the lab is, and how much is said."""

    address: str | None = None
    heartbeat_address: str | None = None
    quiet: bool = False
    debug: bool = False

    def over(self, other: LabOptions) -> LabOptions:
        """Gives these, completed by others."""
        return LabOptions(
            self.address or other.address,
            self.heartbeat_address or other.heartbeat_address,
            self.quiet or other.quiet,
            self.debug or other.debug,
        )

    def lab(self, *, patient: bool = False) -> AsyncLab:
        """Makes the lab, to be used in a running event loop.

        Args:
            patient: Whether a lab that is away is waited for as long as the SDK does.

        Raises:
            BadDemand: An address cannot be read.
        """
        import os

        from hwprovisioner.client.lab import AsyncLab
        from hwprovisioner.client.settings import Settings

        settings = Settings.from_env(
            os.environ,
            allocate_address=self.address,
            heartbeat_address=self.heartbeat_address,
        )
        if not patient:
            settings = replace(settings, contact_limit_s=CONTACT_LIMIT_S)
        return AsyncLab(settings=settings)


OPTIONS = (
    click.option("--address", metavar="HOST:PORT", help="The Allocate service.  [ALLOCATE_API]"),
    click.option(
        "--heartbeat-address", metavar="HOST:PORT", help="The Heartbeat service.  [HEARTBEAT_API]"
    ),
    click.option("--quiet", "-q", is_flag=True, help="Only results and errors."),
    click.option("--debug", is_flag=True, help="Show tracebacks and the SDK's log."),
)


def with_lab(function: Function) -> Function:
    """Gives a command the options, as its argument `lab`; they may stand before it, too."""

    @functools.wraps(function)
    @click.pass_context
    def command(context: click.Context, /, **options: object) -> object:
        own = take(options)
        given = context.find_root().obj
        return function(lab=own.over(given) if isinstance(given, LabOptions) else own, **options)

    for option in reversed(OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def take(options: dict[str, Any]) -> LabOptions:
    """Takes the options out of what click gave."""
    return LabOptions(**{name: options.pop(name) for name in LabOptions.__dataclass_fields__})


def run(lab: LabOptions, work: Coroutine[Any, Any, int | None]) -> int:
    """Runs a command's coroutine and gives its exit code.

    Ctrl-C, SIGTERM and the end of the terminal cancel it, so that whatever it holds is given back.
    """
    import asyncio
    import signal

    from hwprovisioner.client.commands.exit_codes import ExitCode

    _show_log(lab)
    stopped_by: list[signal.Signals] = []

    async def main() -> int | None:
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()

        def stop(which: signal.Signals) -> None:
            # Once: a second one is not to interrupt the giving back, which is bounded.
            if not stopped_by:
                stopped_by.append(which)
                task.cancel()

        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, stop, each)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            loop.add_signal_handler(signal.SIGHUP, stop, signal.SIGHUP)
        return await work

    try:
        return asyncio.run(main()) or ExitCode.OK
    except asyncio.CancelledError:
        if not stopped_by:
            raise
        return ExitCode.CTRL_C if stopped_by[0] is signal.SIGINT else ExitCode.TERMINATED


def _show_log(lab: LabOptions) -> None:
    """Has the SDK's warnings shown, such as that something could not be given back."""
    import logging

    from hwprovisioner.client.errors import LeaseLost

    def is_news(record: logging.LogRecord) -> bool:
        # A loss comes out as this command's error, too.
        return lab.debug or not any(isinstance(each, LeaseLost) for each in record.args or ())

    handler = logging.StreamHandler()
    handler.addFilter(is_news)
    form = "%(name)s: %(message)s" if lab.debug else "hwp: %(message)s"
    least = logging.ERROR if lab.quiet else logging.WARNING
    logging.basicConfig(
        level=logging.DEBUG if lab.debug else least, format=form, handlers=[handler]
    )
