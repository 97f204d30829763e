"""The top of the command line: finds commands, and lets no traceback reach a user."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from hwprovisioner.client.commands.exit_codes import ExitCode, code_for
from hwprovisioner.client.errors import LabError
from hwprovisioner.client.printable import printable

#: Commands of other parts, by the module that brings them. The client finds them when they are
#: wanted and never imports them otherwise: it works without those parts.
_ELSEWHERE = {"up": "hwprovisioner.suite.command"}


class HwpGroup(click.Group):
    """Commands of its own, and those of other parts (`up`)."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Lists its own in the order of a day's work, then the others."""
        return [*self.commands, *_ELSEWHERE]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Finds a command by its name."""
        return super().get_command(context, name) or _load(name)

    def invoke(self, context: click.Context) -> object:
        """Runs a command. A reader that goes away is met here: click would make a 1 of it."""
        try:
            return super().invoke(context)
        except BrokenPipeError:
            return ExitCode.PIPE_CLOSED

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401  # click's own signature
    ) -> Any:  # noqa: ANN401
        """Runs the command line and exits with the code of the table."""
        words = list(sys.argv[1:] if args is None else args)
        # Before `--` only: what follows belongs to somebody else's command.
        debug = "--debug" in (words[: words.index("--")] if "--" in words else words)
        try:
            code = super().main(
                words, prog_name or "hwp", complete_var, standalone_mode=False, **extra
            )
        except Exception as error:
            if debug and not isinstance(error, click.ClickException):
                raise
            code = _explain(error)
        except KeyboardInterrupt:
            code = ExitCode.CTRL_C
        sys.exit(_flushed(code if isinstance(code, int) else ExitCode.OK))


def _explain(error: Exception) -> int:
    """Says what went wrong, and gives the exit code."""
    match error:
        case click.ClickException():
            error.show()
            return error.exit_code
        case click.Abort():
            return ExitCode.CTRL_C
        case LabError():
            _say(f"hwp: {error.message}")
            return code_for(error)
    _say(f"hwp: internal error: {type(error).__name__}: {error} (--debug shows where)")
    return ExitCode.ERROR


def _say(text: str) -> None:
    lines = (printable(line) for line in text.split("\n"))
    try:
        click.echo("\n".join(lines), err=True)
    except OSError:
        pass


def _flushed(code: int) -> int:
    """Writes out what is left, while a reader that went away can still be told from a success."""
    try:
        sys.stdout.flush()
    except OSError:
        # Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or ExitCode.PIPE_CLOSED
    return code


def _load(name: str) -> click.Command | None:
    if name not in _ELSEWHERE:
        return None
    try:
        command: click.Command = getattr(importlib.import_module(_ELSEWHERE[name]), name)
    except ImportError as error:
        return _missing(name, str(error))
    return command


def _missing(name: str, why: str) -> click.Command:
    """Stands in for a command whose part is not all there."""

    @click.command(name, short_help="(needs the extra [suite])", context_settings=_TAKES_ALL)
    def missing() -> None:
        raise click.ClickException(
            f"{name} needs more than the client: pip install 'hardware-provisioner[suite]' ({why})"
        )

    return missing


_TAKES_ALL = {"ignore_unknown_options": True, "allow_extra_args": True}
