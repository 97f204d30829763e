"""Options that say what hardware is wanted: `--cpus 4`, `--host db:cpus=8,label=ssd`, `-f FILE`.

What a number or an amount means is the lab's to say; here text becomes the SDK's mappings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from hwprovisioner.client.commands.demand_file import read_file
from hwprovisioner.client.commands.demand_words import Host, read_gpu, read_named, read_os

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--cpus", metavar="N", help="Logical processors: 4, '==8', 4..8."),
    click.option("--memory", metavar="AMOUNT", help="Main memory: 8GiB, '>=16GiB'."),
    click.option(
        "--gpu",
        "gpus",
        multiple=True,
        metavar="GPU",
        help="A model, or model=rtx4000,count=2 (brand, model, memory, count).",
    ),
    click.option(
        "--os", "os_", metavar="OS", help="ubuntu, 'ubuntu>=20.04', distro=ubuntu,version=22.04."
    ),
    click.option(
        "--kind", "kinds", multiple=True, metavar="KIND", help="Such as vm, physical-server."
    ),
    click.option(
        "--label", "-l", "labels", multiple=True, metavar="NAME[=VALUE]", help="It must carry."
    ),
    click.option("--resource", metavar="NAME", help="This one and no other."),
    click.option(
        "--host",
        "named",
        multiple=True,
        metavar="NAME[:KEY=VALUE,…]",
        help="One of several hosts: db:cpus=8,memory=16GiB,label=ssd.",
    ),
    click.option("--file", "-f", type=click.File("rb"), help="Demands as YAML; - is stdin."),
)


def with_demands(function: Function) -> Function:
    """Gives a command the options, as its argument `demands`: hosts by name."""

    @functools.wraps(function)
    def command(**options: object) -> object:
        return function(demands=read(options), **options)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def read(options: dict[str, Any]) -> dict[str, Mapping[str, object]]:
    """Takes the options out of what click gave, as hosts by name.

    Raises:
        click.UsageError: They contradict one another, or cannot be read.
    """
    lone = read_host(options)
    named, file = options.pop("named"), options.pop("file")
    ways = [bool(lone), bool(named), file is not None]
    if sum(ways) > 1:
        raise click.UsageError(
            "say what is wanted in one way: options for one host (--cpus …), or --host for each,"
            " or --file"
        )
    if file is not None:
        return read_file(file)
    if not named:
        return {"host": lone}
    hosts: dict[str, Mapping[str, object]] = {}
    for text in named:
        name, host = read_named(text)
        if name in hosts:
            raise click.UsageError(f"--host {text}: there are two hosts called {name!r}")
        hosts[name] = host
    return hosts


def read_host(options: dict[str, Any]) -> Host:
    """Takes the options for one host out of what click gave."""
    host: Host = {
        "cpus": options.pop("cpus"),
        "memory": options.pop("memory"),
        "gpus": [read_gpu(each) for each in options.pop("gpus")],
        "os": read_os(options.pop("os_")),
        "kinds": list(options.pop("kinds")),
        "labels": list(options.pop("labels")),
        "resource": options.pop("resource"),
    }
    return {key: value for key, value in host.items() if value}
