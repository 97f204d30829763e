"""Options of a request beside what is wanted: how long, how urgent."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--wait", metavar="TIME", help="Wait in the queue at most so long: 90s, 10m, 2h."),
    click.option(
        "--ttl", "lease_ttl", metavar="TIME", help="The lease after each heartbeat.  [30s]"
    ),
    click.option("--max-duration", metavar="TIME", help="End it after so long, whatever happens."),
    click.option(
        "--priority", type=click.IntRange(-100, 100), default=0, help="Higher goes first.  [0]"
    ),
    click.option(
        "--tolerate-maintenance",
        is_flag=True,
        help="What is drained or in maintenance will do, too; for operators.",
    ),
    click.option("--request-id", metavar="ID", help="The same id gives the same allocation."),
    click.option(
        "--ssh-key", metavar="FILE.pub", help="Let me in with this key.  [a new one each time]"
    ),
)
_NAMES = (
    *("wait", "lease_ttl", "max_duration", "priority"),
    *("tolerate_maintenance", "request_id", "ssh_key"),
)


def with_request(function: Function) -> Function:
    """Gives a command the options, as its argument `request`: keywords of `Lab.allocate`."""

    @functools.wraps(function)
    def command(**options: object) -> object:
        return function(request={name: options.pop(name) for name in _NAMES}, **options)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]
