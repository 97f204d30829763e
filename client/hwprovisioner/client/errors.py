"""What can go wrong between a test and its lab.

* LabError: the base; nothing else is raised on purpose

  * BadDemand: the call is wrong whatever the state of the lab; one violation for each wrong field
  * Unsatisfiable: nothing registered could ever satisfy the demands; one reason for each host
  * OverQuota: the demands are more than the quota of the user or the team could ever allow
  * BookingConflict: the set cannot be promised for that time; what stands in the way of each host
  * WaitTimeout: the demands can be satisfied, but were not within the wait that was asked for
  * PrepareFailed: resources were granted and could not be readied up, in as many tries as are made
  * LeaseLost: the allocation is over, or cannot be proven to be alive; its hosts must not be used
  * LabUnavailable: no server answers, or the one that does has no state to answer from
  * NotAllowed: a wrong token, or no right to do this
  * NotFound: no such allocation or resource
  * RevisionForgotten: the changes asked for are no longer all known; list, then watch from there
  * WrongHost: a host was asked for that the allocation does not have
  * CommandFailed: a command on a host ended with another exit code than 0

    * CommandTimeout: a command on a host took longer than it was given

This module imports nothing, so that `except LeaseLost` costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a call that is wrong."""

    field: str
    """Its path, such as `demands.hosts[db].cpus`."""
    description: str
    """What is wrong with it and what would be right."""


class LabError(Exception):
    """Something went wrong with the lab. The message says what, why and what next.

    Attributes:
        message: For people to read.
        code: The canonical gRPC code by name, such as `NOT_FOUND`; empty if no server said it.
        reason: UPPER_SNAKE and never renamed, such as `NO_SUCH_ALLOCATION`; empty if not known.
        metadata: Every value that is in the message, by name.
        violations: The fields that are wrong.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.violations = tuple(violations)


class BadDemand(LabError):
    """The call is wrong, whatever the state of the lab."""


class Unsatisfiable(LabError):
    """Nothing that is registered could ever satisfy the demands.

    Attributes:
        hosts: For each host that cannot be had, why not; empty if the lab did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        hosts: Mapping[str, str] | None = None,
        code: str = "",
        reason: str = "UNSATISFIABLE",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, reason=reason, metadata=metadata)
        self.hosts: Mapping[str, str] = dict(hosts or {})


class OverQuota(LabError):
    """The demands are more than the quota of the user or the team could ever allow."""


class BookingConflict(LabError):
    """The set cannot be promised for that time.

    Attributes:
        hosts: For each host that cannot be had then, what stands in the way.
    """

    def __init__(
        self,
        message: str,
        *,
        hosts: Mapping[str, str] | None = None,
        code: str = "",
        reason: str = "BOOKING_CONFLICT",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, code=code, reason=reason, metadata=metadata)
        self.hosts: Mapping[str, str] = dict(hosts or {})


class WaitTimeout(LabError):
    """The request waited in the queue for as long as it had said."""


class PrepareFailed(LabError):
    """The granted resources could not be readied up, in as many tries as are made."""


class LabUnavailable(LabError):
    """No server answers, or the one that does has no state to answer from."""


class NotAllowed(LabError):
    """The token is not this allocation's, or the caller has no right to do this."""


class NotFound(LabError):
    """There is no such allocation or resource."""


class RevisionForgotten(LabError):
    """Changes after the revision are no longer all known: list, then watch from there."""


class WrongHost(LabError):
    """The allocation has no host of that name, or several and none was named."""


class LeaseLost(LabError):
    """The allocation is over, or cannot be proven to be alive: its hosts must not be used any more.

    Attributes:
        reason: An end reason of the lab, such as `EXPIRED` or `PREEMPTED`; `LEASE_LAPSED` when this
            process stopped by itself because no heartbeat had been accepted in time; `WRONG_TOKEN`
            or `NO_SUCH_ALLOCATION` when the lab knows it no longer, `GRANT_LOST` when it does not
            know any more that it granted these hosts.
        detail: More about it, for people to read.
        allocation_id: Which allocation.
    """

    def __init__(self, reason: str, detail: str, allocation_id: str, *, code: str = "") -> None:
        because = f": {detail}" if detail else ""
        super().__init__(
            f"allocation {allocation_id} is lost ({reason}){because}; its hosts may belong to"
            " somebody else by now: stop using them and allocate again",
            code=code,
            reason=reason,
            metadata={"allocation_id": allocation_id, "detail": detail},
        )
        self.detail = detail
        self.allocation_id = allocation_id


class CommandFailed(LabError):
    """A command on a host ended with another exit code than 0.

    Attributes:
        host: The name of the host.
        command: The command, as one line.
        exit_code: Minus the signal's number if a signal ended it; None if it was stopped.
        stdout: What it had written.
        stderr: What it had complained of.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str,
        command: str,
        exit_code: int | None,
        stdout: str,
        stderr: str,
        reason: str = "COMMAND_FAILED",
    ) -> None:
        super().__init__(message, reason=reason, metadata={"host": host, "command": command})
        self.host = host
        self.command = command
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr


class CommandTimeout(CommandFailed):
    """A command on a host took longer than it was given, and was stopped."""
