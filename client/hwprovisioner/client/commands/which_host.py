"""The host that a command is about: `ALLOCATION/HOST`, or as little of it as is clear."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from hwprovisioner.client.errors import LabError, NotAllowed, NotFound, WrongHost
from hwprovisioner.client.guessing import did_you_mean

if TYPE_CHECKING:
    from hwprovisioner.client.commands.own_allocations import OwnAllocations
    from hwprovisioner.client.facts import Connection
    from hwprovisioner.client.lab import AsyncLab
    from hwprovisioner.client.reach import Reach
    from hwprovisioner.v1.allocation_pb2 import Allocation

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class FoundHost:
    """A host that is handed over, and what gives the right to it."""

    allocation_id: str
    token: str
    name: str
    connection: Connection
    """With the file of the key that lets this user in, if there is one here."""
    reach: Reach

    @property
    def full_name(self) -> str:
        """As a command takes it."""
        return f"{self.allocation_id}/{self.name}"


def complete_host(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Completes the ids of this user's allocations; a host's name follows a slash."""
    ids = _own().tokens()
    return [CompletionItem(f"{each}/") for each in ids if f"{each}/".startswith(incomplete)]


def with_token(function: Function) -> Function:
    """Gives a command the option `--token`."""
    text = "The allocation's token, if it was not made here.  [HWP_TOKEN]"
    return click.option("--token", metavar="TOKEN", help=text)(function)


async def find_host(lab: AsyncLab, word: str, token: str | None = None) -> FoundHost:
    """Finds a host by what a user wrote.

    `ALLOCATION/HOST`, or `ALLOCATION` if that has one host, or `HOST`: then the allocation is
    HWP_ALLOCATION_ID, as `hwp run` sets it, else the one that this user made here and that has a
    host of that name.

    Raises:
        NotFound, WrongHost: There is none, or there are several.
        NotAllowed: No token for it is known here, or it is wrong.
        LabError: It is not handed over (yet).
    """
    allocation_id, slash, host = word.partition("/")
    if slash:
        return await _in(lab, allocation_id, host, token)
    if word in _own().tokens():
        return await _in(lab, word, "", token)
    if own := os.environ.get("HWP_ALLOCATION_ID", ""):
        return await _in(lab, own, "" if word == own else word, token)
    if token or os.environ.get("HWP_TOKEN"):
        return await _in(lab, word, "", token)
    return await _among_own(lab, word)


async def _in(lab: AsyncLab, allocation_id: str, host: str, token: str | None) -> FoundHost:
    secret = token or _token_for(allocation_id)
    if not secret:
        raise NotAllowed(
            f"{allocation_id}: no token for it here; give --token or HWP_TOKEN", reason="NO_TOKEN"
        )
    allocation = await lab.get_allocation(allocation_id, secret)
    if not _is_ready(allocation):
        raise _not_ready(allocation)
    names = sorted(allocation.hosts)
    if not host and len(names) == 1:
        host = names[0]
    if host not in names:
        said = f"has no host {host!r}{did_you_mean(host, names)}" if host else "has several hosts"
        raise WrongHost(
            f"allocation {allocation_id} {said}; it has {', '.join(names)}: write"
            f" {allocation_id}/{names[0]}",
            reason="NO_SUCH_HOST",
            metadata={"host": host},
        )
    return _found(lab, allocation, host, secret)


async def _among_own(lab: AsyncLab, host: str) -> FoundHost:
    found = []
    for allocation_id, token in _own().tokens().items():
        try:
            allocation = await lab.get_allocation(allocation_id, token)
        except (NotFound, NotAllowed):
            continue  # of another lab, or forgotten
        if _is_ready(allocation) and host in allocation.hosts:
            found.append(_found(lab, allocation, host, token))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.full_name for each in found)
        raise WrongHost(f"there are several hosts {host!r}: {names}; write which one you mean")
    raise NotFound(
        f"nothing that you have allocated here is called {host!r} or has a host of that name; write"
        " ALLOCATION/HOST, with --token or HWP_TOKEN if it was allocated elsewhere",
        reason="NO_SUCH_HOST",
        metadata={"host": host},
    )


def _found(lab: AsyncLab, allocation: Allocation, host: str, token: str) -> FoundHost:
    from hwprovisioner.client.facts import read_hosts
    from hwprovisioner.client.holder_key import HolderKey, fill_in

    key_file = _own().key_file(allocation.id)
    fill_in(allocation.hosts, HolderKey(file=key_file))
    connection = read_hosts(allocation.hosts)[host].connection
    return FoundHost(allocation.id, token, host, connection, lab.reach(allocation.id, token, host))


def _own() -> OwnAllocations:
    from hwprovisioner.client.commands.own_allocations import OwnAllocations

    return OwnAllocations.of_user()


def _token_for(allocation_id: str) -> str:
    from hwprovisioner.client.commands.release import token_for

    return token_for(allocation_id)


def _is_ready(allocation: Allocation) -> bool:
    from hwprovisioner.v1.allocation_pb2 import AllocationState

    return allocation.state == AllocationState.ALLOCATION_STATE_READY


def _not_ready(allocation: Allocation) -> LabError:
    from hwprovisioner.client.failures import from_end
    from hwprovisioner.client.words import word
    from hwprovisioner.v1.allocation_pb2 import AllocationState

    if allocation.state == AllocationState.ALLOCATION_STATE_ENDED:
        return from_end(allocation.end_reason, allocation.end_detail, allocation.id)
    state = word(AllocationState, allocation.state)
    return LabError(
        f"allocation {allocation.id} is {state}: it has no hosts yet; `hwp watch {allocation.id}`"
        " tells when it has",
        reason="NOT_READY",
        metadata={"allocation_id": allocation.id},
    )
