"""Options that say what hardware is wanted: `--cpus 4`, `--host db:cpus=8,label=ssd`, `-f FILE`.

What a number or an amount means is the lab's to say; here text becomes the SDK's mappings.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import IO, Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])
Host = dict[str, object]

#: Where a host's entry may name several things, joined by `+`.
_SINGULAR = {"label": "labels", "gpu": "gpus", "kind": "kinds"}
#: `ubuntu>=20.04`, `ubuntu==22.04`, `ubuntu 22.04`, `ubuntu`.
_OS = re.compile(r"\s*([A-Za-z][\w.-]*?)\s*(?:((?:>=|==|<=)\s*\S+)|[ :]\s*(\S+))?\s*")
_FAMILIES = ("linux", "windows", "macos", "darwin")

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


def read_gpu(text: str) -> object:
    """Reads `rtx4000`, or `model=rtx4000,count=2`."""
    if "=" not in text:
        return int(text) if text.isdecimal() else text
    gpu: Host = dict(_pairs(text, f"--gpu {text}"))
    count = gpu.get("count")
    return gpu | {"count": int(count)} if isinstance(count, str) and count.isdecimal() else gpu


def read_os(text: str | None) -> object:
    """Reads `ubuntu>=20.04`, or `distro=ubuntu,version=20.04`."""
    if not text:
        return None
    if match := _OS.fullmatch(text):
        name, version = match[1], (match[2] or match[3] or "").replace(" ", "")
        key = "family" if name.lower() in _FAMILIES else "distro"
        return {key: name, "version": version} if version else {key: name}
    if "=" in text:
        return dict(_pairs(text, f"--os {text}"))
    raise click.UsageError(f"--os {text}: write ubuntu, 'ubuntu>=20.04' or distro=ubuntu,version=…")


def read_named(text: str) -> tuple[str, Host]:
    """Reads `db:cpus=8,label=ssd,gpu=rtx4000`; a key may come again, as in `label=a,label=b`."""
    name, _, rest = text.partition(":")
    if not name.strip():
        raise click.UsageError(f"--host {text}: begin with the host's name, as in db:cpus=8")
    host: Host = {}
    for key, value in _pairs(rest, f"--host {text}") if rest.strip() else ():
        many = _SINGULAR.get(key, key)
        if many in ("labels", "gpus", "kinds"):
            found = host.setdefault(many, [])
            assert isinstance(found, list)
            found.extend(read_gpu(each) if many == "gpus" else each for each in value.split("+"))
        elif key in host:
            raise click.UsageError(f"--host {text}: {key} is there twice")
        else:
            host[key] = read_os(value) if key == "os" else value
    return name.strip(), host


def read_file(file: IO[bytes]) -> dict[str, Mapping[str, object]]:
    """Reads demands from YAML: hosts by name, alone or below `hosts:` or `demands:`."""
    import yaml

    name = getattr(file, "name", "-")
    try:
        content = yaml.load(file, Loader=yaml.BaseLoader)  # noqa: S506  # all scalars stay text
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--file {name}: {error}") from error
    for key in ("demands", "hosts"):
        if isinstance(content, dict) and list(content) == [key]:
            content = content[key]
    if not isinstance(content, dict) or not content:
        raise click.UsageError(f"--file {name}: should be hosts by name, as in `db: {{cpus: 8}}`")
    # A host that is no mapping is refused by the SDK, which names it.
    return {str(host): _numbered(demand) for host, demand in content.items()}  # type: ignore[misc]


def _numbered(demand: object) -> object:
    """Makes counts of cards numbers again, which YAML was told to leave alone."""
    if isinstance(demand, dict):
        return {
            key: int(value)
            if key in ("count", "gpus") and isinstance(value, str) and value.isdecimal()
            else _numbered(value)
            for key, value in demand.items()
        }
    return [_numbered(each) for each in demand] if isinstance(demand, list) else demand


def _pairs(text: str, where: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not (key.strip() and equals and value.strip()):
            raise click.UsageError(f"{where}: {part!r} is not KEY=VALUE")
        pairs.append((key.strip(), value.strip()))
    return pairs
