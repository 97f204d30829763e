"""Options that say what hardware is wanted: `--cpus 4`, `--host db:cpus=8,label=ssd`, `-f FILE`.

What a number or an amount means is the lab's to say; here text becomes the SDK's mappings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hwprovisioner.client.commands.demand_file import read_file
from hwprovisioner.client.commands.demand_words import (
    Host,
    read_gpu,
    read_keys,
    read_named,
    read_os,
    read_parameter,
    read_relations,
)
from hwprovisioner.client.known_keys import LONE_HOST, RELATION_KEYS

if TYPE_CHECKING:
    from hwprovisioner.client.demands import DemandMapping

Function = TypeVar("Function", bound=Callable[..., Any])

NOTHING_WANTED: DemandMapping = {LONE_HOST: {}}
"""What `read` gives when no option says anything: one host, any will do."""

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
    click.option("--not", "not_resources", multiple=True, metavar="NAME", help="Not this one."),
    click.option("--where", metavar="EXPR", help="A CEL expression: 'resource.cpus % 4 == 0'."),
    click.option("--image", metavar="NAME", help="Made from this image."),
    click.option("--disk", metavar="AMOUNT", help="Made with a disk of this size."),
    click.option(
        "--param", "parameters", multiple=True, metavar="NAME=VALUE", help="How it is made."
    ),
    click.option("--count", type=click.IntRange(1, 64), metavar="N", help="So many such hosts."),
    click.option(
        "--any-of",
        "any_of",
        multiple=True,
        metavar="KEY=VALUE,…",
        help="One of several ways, the first that can be had now: gpu=rtx4000.",
    ),
    click.option(
        "--host",
        "named",
        multiple=True,
        metavar="NAME[:KEY=VALUE,…]",
        help="One of several hosts: db:cpus=8,memory=16GiB,label=ssd.",
    ),
    click.option(
        "--same", multiple=True, metavar="LABEL[:HOST,…]", help="All hosts, or these: one value."
    ),
    click.option(
        "--different",
        multiple=True,
        metavar="LABEL[:HOST,…]",
        help="All hosts, or these: no two with the same value.",
    ),
    click.option("--file", "-f", type=click.File("rb"), help="Demands as YAML; - is stdin."),
)


def with_demands(function: Function) -> Function:
    """Gives a command the options, as its argument `demands`: what the SDK takes as mapping."""

    @functools.wraps(function)
    def command(**options: object) -> object:
        return function(demands=read(options), **options)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def read(options: dict[str, Any]) -> DemandMapping:
    """Takes the options out of what click gave.

    Raises:
        click.UsageError: They contradict one another, or cannot be read.
    """
    lone = read_host(options)
    relations = {
        key: read_relations(said, f"--{key}") for key in RELATION_KEYS if (said := options.pop(key))
    }
    named, file = options.pop("named"), options.pop("file")
    ways = [bool(lone), bool(named), file is not None]
    if sum(ways) > 1:
        raise click.UsageError(
            "say what is wanted in one way: options for one host (--cpus …), or --host for each,"
            " or --file"
        )
    if file is None:
        return {**(_named_hosts(named) if named else {LONE_HOST: lone}), **relations}
    if relations:
        raise click.UsageError("--same and --different stand in the --file itself")
    return read_file(file)


def _named_hosts(named: Sequence[str]) -> dict[str, Host]:
    hosts: dict[str, Host] = {}
    for text in named:
        name, host = read_named(text)
        if name in RELATION_KEYS:
            raise click.UsageError(f"--host {text}: no host can be called {name!r}; see --{name}")
        if name in hosts:
            raise click.UsageError(f"--host {text}: there are two hosts called {name!r}")
        hosts[name] = host
    return hosts


def read_host(options: dict[str, Any]) -> Host:
    """Takes the options for one host out of what click gave.

    Raises:
        click.UsageError: One cannot be read.
    """
    host: Host = {
        "cpus": options.pop("cpus"),
        "memory": options.pop("memory"),
        "gpus": [read_gpu(each) for each in options.pop("gpus")],
        "os": read_os(options.pop("os_")),
        "kinds": list(options.pop("kinds")),
        "labels": list(options.pop("labels")),
        "resource": options.pop("resource"),
        "not_resources": list(options.pop("not_resources")),
        "where": options.pop("where"),
        "provisioning": {
            key: said for key in ("image", "disk") if (said := options.pop(key)) is not None
        },
        "count": options.pop("count"),
        "any_of": [read_keys(each, f"--any-of {each}") for each in options.pop("any_of")],
    }
    for text in options.pop("parameters"):
        read_parameter(text, host, f"--param {text}")
    return {key: value for key, value in host.items() if value}
