"""What is wanted, as people write it on a command line: `ubuntu>=20.04`, `db:cpus=8,label=ssd`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

Host = dict[str, object]

#: What a host may have several of, by the word for one.
_MANY = {"label": "labels", "gpu": "gpus", "kind": "kinds", "not": "not_resources"}
_PROVISIONING = ("image", "disk")
_KEYS = (
    *("cpus", "memory", "os", "resource", "count", "where", "param"),
    *_MANY,
    *_PROVISIONING,
)
#: `ubuntu>=20.04`, `ubuntu==22.04`, `ubuntu 22.04`, `ubuntu`.
_OS = re.compile(r"\s*([A-Za-z][\w.-]*?)\s*(?:((?:>=|==|<=)\s*\S+)|[ :]\s*(\S+))?\s*")
_NO_COMMAS = "an expression with a comma in it needs --where or --file"
_FAMILIES = ("linux", "windows", "macos", "darwin")


def read_gpu(text: str) -> object:
    """Reads `rtx4000`, or `model=rtx4000,count=2`, or a mere number of cards.

    Raises:
        click.UsageError: It cannot be read.
    """
    if "=" not in text:
        return {"count": int(text)} if text.isdecimal() else text
    gpu: Host = dict(_pairs(text, f"--gpu {text}"))
    count = gpu.get("count")
    return gpu | {"count": int(count)} if isinstance(count, str) and count.isdecimal() else gpu


def read_os(text: str | None) -> object:
    """Reads `ubuntu>=20.04`, or `distro=ubuntu,version=20.04`.

    Raises:
        click.UsageError: It cannot be read.
    """
    if not text:
        return None
    if match := _OS.fullmatch(text):
        version = (match[2] or match[3] or "").replace(" ", "")
        key = "family" if match[1].lower() in _FAMILIES else "distro"
        return {key: match[1], "version": version} if version else {key: match[1]}
    if "=" not in text:
        raise click.UsageError(f"--os {text}: write ubuntu, 'ubuntu>=20.04' or distro=ubuntu")
    return dict(_pairs(text, f"--os {text}"))


def read_named(text: str) -> tuple[str, Host]:
    """Reads `db:cpus=8,label=ssd,gpu=rtx4000`.

    Raises:
        click.UsageError: It cannot be read.
    """
    name, _, rest = text.partition(":")
    if not name.strip():
        raise click.UsageError(f"--host {text}: begin with the host's name, as in db:cpus=8")
    return name.strip(), read_keys(rest, f"--host {text}")


def read_keys(text: str, where: str) -> Host:
    """Reads `cpus=8,label=ssd,gpu=rtx4000`; a label, gpu, kind, not or param may come again.

    Args:
        text: What a host must be.
        where: The option that it came with, for the message.

    Raises:
        click.UsageError: It cannot be read.
    """
    host: Host = {}
    for key, value in _pairs(text, where):
        if "where" in host and key not in _KEYS:
            raise click.UsageError(f"{where}: {key} is no key of a host; {_NO_COMMAS}")
        if many := _MANY.get(key):
            _append(host, many, read_gpu(value) if many == "gpus" else value)
        elif key == "param":
            read_parameter(value, host, f"{where}: param={value}")
        elif key in host or (key in _PROVISIONING and key in _made(host)):
            raise click.UsageError(f"{where}: {key} is there twice")
        elif key in _PROVISIONING:
            _made(host)[key] = value
        else:
            host[key] = _value(key, value)
    return {key: value for key, value in host.items() if value != {}}


def read_parameter(text: str, host: Host, where: str) -> None:
    """Reads `NAME=VALUE`, a parameter of how a host is made, into it.

    Raises:
        click.UsageError: It cannot be read, or the name is there already.
    """
    name, _, value = (part.strip() for part in text.partition("="))
    if not (name and value):
        raise click.UsageError(f"{where}: write NAME=VALUE")
    parameters = _made(host).setdefault("parameters", {})
    assert isinstance(parameters, dict)
    if name in parameters:
        raise click.UsageError(f"{where}: {name} is there twice")
    parameters[name] = value


def read_relations(texts: Sequence[str], option: str) -> dict[str, list[list[str]]]:
    """Reads `rack`, or `switch:db,edge`, each time it comes: by label, groups of hosts.

    Raises:
        click.UsageError: It cannot be read.
    """
    found: dict[str, list[list[str]]] = {}
    for text in texts:
        label, colon, rest = text.partition(":")
        hosts = [name.strip() for name in rest.split(",") if name.strip()]
        if not label.strip() or (colon and not hosts):
            raise click.UsageError(f"{option} {text}: write a label, or LABEL:HOST,HOST")
        found.setdefault(label.strip(), []).append(hosts)
    return found


def _value(key: str, value: str) -> object:
    if key == "os":
        return read_os(value)
    return int(value) if key == "count" and value.isdecimal() else value


def _made(host: Host) -> Host:
    """Gives how a host is to be made."""
    made = host.setdefault("provisioning", {})
    assert isinstance(made, dict)
    return made


def _append(host: Host, key: str, value: object) -> None:
    found = host.setdefault(key, [])
    assert isinstance(found, list)
    found.append(value)


def _pairs(text: str, where: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for part in text.split(",") if text.strip() else []:
        key, _, value = (each.strip() for each in part.partition("="))
        if not (key and value):
            hint = f"; {_NO_COMMAS}" if any(key == "where" for key, _ in pairs) else ""
            raise click.UsageError(f"{where}: {part!r} is not KEY=VALUE{hint}")
        pairs.append((key, value))
    return pairs
