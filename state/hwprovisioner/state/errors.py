"""What can go wrong with the lab's state.

::

    StateError
    ├── StateUnavailable   STATE_UNAVAILABLE    Redis is away, the call may have run or not
    │   └── Forgotten                           Redis lost a manager's registration
    ├── NoSuchAllocation   NO_SUCH_ALLOCATION
    ├── NoSuchResource     NO_SUCH_RESOURCE
    ├── NoSuchHold         NO_SUCH_HOLD
    ├── WrongToken         WRONG_TOKEN
    ├── WrongState         WRONG_STATE          the state machine has no such transition
    ├── StaleFence         STALE_FENCE
    ├── Superseded         SUPERSEDED           a newer registration of the same manager
    ├── NameTaken          NAME_TAKEN           another manager represents a resource of that name
    ├── RequestIdReused    REQUEST_ID_REUSED
    └── RevisionForgotten  REVISION_FORGOTTEN

Each carries what services answer with: `reason`, the word that clients branch on, and `metadata`,
every value that the message mentions.
"""

from collections.abc import Mapping
from typing import ClassVar


class StateError(Exception):
    """Base of all errors of this package."""

    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, **metadata: object) -> None:
        super().__init__(message)
        self.metadata: Mapping[str, str] = {name: str(value) for name, value in metadata.items()}


class StateUnavailable(StateError):
    """Redis is away. A call under way may have taken effect or not: scripts can be repeated."""

    reason = "STATE_UNAVAILABLE"

    def __init__(self, message: str, retry_after_ms: int = 500) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class Forgotten(StateUnavailable):
    """The lab's state is older than a manager's registration, or empty: Redis lost something."""

    def __init__(self, manager_id: str) -> None:
        super().__init__(
            f"the lab has lost the registration of manager {manager_id!r}: register again"
        )


class NoSuchAllocation(StateError):
    """There is no such allocation, or it has been forgotten."""

    reason = "NO_SUCH_ALLOCATION"

    def __init__(self, allocation_id: str) -> None:
        super().__init__(
            f"no allocation {allocation_id!r}: it never was, or it ended long ago and is forgotten",
            allocation_id=allocation_id,
        )


class NoSuchResource(StateError):
    """There is no such resource, or it belongs to another manager."""

    reason = "NO_SUCH_RESOURCE"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"no resource {name!r}: list the resources to see their names", resource=name
        )


class NoSuchHold(StateError):
    """There is no such hold, or it belongs to another manager."""

    reason = "NO_SUCH_HOLD"

    def __init__(self, hold_id: str) -> None:
        super().__init__(
            f"no hold {hold_id!r} of this manager: clean up and forget it", hold_id=hold_id
        )


class WrongToken(StateError):
    """The token is not the allocation's."""

    reason = "WRONG_TOKEN"

    def __init__(self, allocation_id: str) -> None:
        super().__init__(
            f"that is not the token of allocation {allocation_id!r}: it came with the first update",
            allocation_id=allocation_id,
        )


class WrongState(StateError):
    """The state machine has no such transition."""

    reason = "WRONG_STATE"

    def __init__(self, what: str, state: str, event: str) -> None:
        super().__init__(f"{what} is {state}: no {event} now", what=what, state=state, event=event)


class StaleFence(StateError):
    """The message is about a hold as it was before."""

    reason = "STALE_FENCE"

    def __init__(self, hold_id: str, fence: int, present: int) -> None:
        super().__init__(
            f"fence {fence} of hold {hold_id!r} is stale, it is {present} now",
            hold_id=hold_id,
            fence=fence,
            present=present,
        )


class Superseded(StateError):
    """The same manager has registered anew."""

    reason = "SUPERSEDED"

    def __init__(self, manager_id: str) -> None:
        super().__init__(
            f"manager {manager_id!r} has registered on a newer stream, which is its only one now:"
            " do not reconnect; if that was another process, give each its own manager id",
            manager_id=manager_id,
        )


class NameTaken(StateError):
    """Another manager represents a resource of that name."""

    reason = "NAME_TAKEN"

    def __init__(self, name: str, manager_id: str) -> None:
        super().__init__(
            f"resource name {name!r} is taken by manager {manager_id!r}, names are unique in a lab",
            resource=name,
            manager_id=manager_id,
        )


class RequestIdReused(StateError):
    """The request id came before with another request."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self) -> None:
        super().__init__(
            "this request_id came before with another request: make a new one for each intention"
        )


class RevisionForgotten(StateError):
    """Changes after that revision are no longer all known."""

    reason = "REVISION_FORGOTTEN"

    def __init__(self, revision: int, oldest: int) -> None:
        super().__init__(
            f"changes after revision {revision} are no longer all known, only after {oldest}:"
            " list, then watch from the list's revision",
            revision=revision,
            oldest_revision=oldest,
        )
