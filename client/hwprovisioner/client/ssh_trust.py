"""Whom ssh takes for a host: who has the key that the lab knows, and nobody else."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from hwprovisioner.client.facts import Connection

#: As in resources.yml: whatever key the host has will do.
ANY_KEY = "any"
FIRST_SEEN = ("-o", "StrictHostKeyChecking=accept-new")
"""Options for a host whose key nobody knows: a machine seen first is trusted from then on."""
_ALIAS = "host"


@contextlib.contextmanager
def trust(connection: Connection) -> Iterator[tuple[str, ...]]:
    """Gives ssh's options for the length of a block.

    Where the lab knows the key, nothing is read from or written to this user's `known_hosts`: other
    machines come to be at the same address and port.
    """
    key = connection.properties.get("host_key", "")
    if connection.protocol != "ssh" or not key:
        yield FIRST_SEEN
        return
    if key == ANY_KEY:
        yield (*_only(os.devnull), "-o", "StrictHostKeyChecking=no")
        return
    with tempfile.NamedTemporaryFile("w", prefix="hwp-known-", encoding="utf-8") as file:
        file.writelines(f"{_ALIAS} {line}\n" for line in key.splitlines() if line.strip())
        file.flush()
        alias = ("-o", f"HostKeyAlias={_ALIAS}")
        yield (*_only(file.name), *alias, "-o", "StrictHostKeyChecking=yes")


def _only(known_hosts: str) -> tuple[str, ...]:
    options = (f'UserKnownHostsFile="{known_hosts}"', f"GlobalKnownHostsFile={os.devnull}")
    return tuple(word for option in options for word in ("-o", option))
