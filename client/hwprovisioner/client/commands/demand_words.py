"""What is wanted, as people write it on a command line: `ubuntu>=20.04`, `db:cpus=8,label=ssd`."""

from __future__ import annotations

import re

import click

Host = dict[str, object]

#: What a host may have several of, by the word for one.
_MANY = {"label": "labels", "gpu": "gpus", "kind": "kinds"}
#: `ubuntu>=20.04`, `ubuntu==22.04`, `ubuntu 22.04`, `ubuntu`.
_OS = re.compile(r"\s*([A-Za-z][\w.-]*?)\s*(?:((?:>=|==|<=)\s*\S+)|[ :]\s*(\S+))?\s*")
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
    """Reads `db:cpus=8,label=ssd,gpu=rtx4000`; a label, gpu or kind may come again.

    Raises:
        click.UsageError: It cannot be read.
    """
    name, _, rest = text.partition(":")
    if not name.strip():
        raise click.UsageError(f"--host {text}: begin with the host's name, as in db:cpus=8")
    host: Host = {}
    for key, value in _pairs(rest, f"--host {text}"):
        many = _MANY.get(key, key)
        if many in _MANY.values():
            _append(host, many, read_gpu(value) if many == "gpus" else value)
        elif key in host:
            raise click.UsageError(f"--host {text}: {key} is there twice")
        else:
            host[key] = read_os(value) if key == "os" else value
    return name.strip(), host


def _append(host: Host, key: str, value: object) -> None:
    found = host.setdefault(key, [])
    assert isinstance(found, list)
    found.append(value)


def _pairs(text: str, where: str) -> list[tuple[str, str]]:
    return [_pair(part, where) for part in text.split(",")] if text.strip() else []


def _pair(text: str, where: str) -> tuple[str, str]:
    key, _, value = (part.strip() for part in text.partition("="))
    if not (key and value):
        raise click.UsageError(f"{where}: {text!r} is not KEY=VALUE")
    return key, value
