"""The exit codes of `hwp`: the one table, for the code, for `--help` and for docs/cli.md."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from hwprovisioner.client import errors


class ExitCode(IntEnum):
    """What a script can tell from the exit code of `hwp`."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    NEVER = 4
    TIMED_OUT = 5
    AWAY = 6
    NOT_ALLOWED = 7
    LOST = 8
    CONFLICT = 9
    CANNOT_RUN = 126
    NO_SUCH_COMMAND = 127
    CTRL_C = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.OK: "it worked",
    ExitCode.ERROR: "an error that has no code of its own",
    ExitCode.USAGE: "wrong usage: options, addresses, demands",
    ExitCode.NOT_FOUND: "no such allocation, host, resource or manager",
    ExitCode.NEVER: "nothing registered, or no quota, could ever satisfy the demands",
    ExitCode.TIMED_OUT: "the wait in the queue was over (--wait)",
    ExitCode.AWAY: "the server is away, or not serving",
    ExitCode.NOT_ALLOWED: "not allowed: a wrong token, or for operators only",
    ExitCode.LOST: "the lease was lost",
    ExitCode.CONFLICT: "book: the set cannot be promised for that time",
    ExitCode.CANNOT_RUN: "run: the command cannot be run",
    ExitCode.NO_SUCH_COMMAND: "run: there is no such command",
    ExitCode.CTRL_C: "Ctrl-C: the place in the queue, or the hardware, was given up",
    ExitCode.PIPE_CLOSED: "whoever read the output went away",
    ExitCode.TERMINATED: "SIGTERM: as with Ctrl-C",
}

_BY_ERROR: Mapping[type[errors.LabError], ExitCode] = {
    errors.BadDemand: ExitCode.USAGE,
    errors.NotFound: ExitCode.NOT_FOUND,
    errors.WrongHost: ExitCode.NOT_FOUND,
    errors.Unsatisfiable: ExitCode.NEVER,
    errors.OverQuota: ExitCode.NEVER,
    errors.BookingConflict: ExitCode.CONFLICT,
    errors.WaitTimeout: ExitCode.TIMED_OUT,
    errors.LabUnavailable: ExitCode.AWAY,
    errors.NotAllowed: ExitCode.NOT_ALLOWED,
    errors.LeaseLost: ExitCode.LOST,
}


def code_for(error: errors.LabError) -> ExitCode:
    """Gives the exit code for an error of the lab."""
    return next(
        (_BY_ERROR[kind] for kind in type(error).__mro__ if kind in _BY_ERROR), ExitCode.ERROR
    )


def epilog() -> str:
    """Gives the table as the end of `--help`."""
    lines = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())
    return f"\b\nExit codes (those of `run` are the command's own, if it ran):\n{lines}"
