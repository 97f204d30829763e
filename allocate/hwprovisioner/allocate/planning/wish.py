"""What is looked for, and among what."""

from dataclasses import dataclass
from enum import Enum, auto

from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.order import Request


class Scope(Enum):
    """Among what is looked for."""

    OPEN = auto()
    """What is open and free now."""
    THEN = auto()
    """What is free from a time to a time, by what its holders and bookings have said."""
    COMING = auto()
    """What can be had one day without anybody's doing, all of it free."""
    EVER = auto()
    """All there is, all of it free."""


@dataclass(slots=True, eq=False)
class Wish:
    """A request for which resources are looked for, and what only it knows.

    Nobody changes one. It is not frozen, as one is made for each look, and that would be dear.
    """

    asked: RequestClass
    excluded: frozenset[str] = frozenset()
    booking: str = ""
    """Its id if it is a booking, whose own reservation is not in its way."""
    now_ms: int = 0
    """When it would begin; a time to come where it is looked for what is free then."""
    ends_ms: int = 0
    """When it would have ended; 0 if nobody knows."""
    reserved: tuple[str, ...] = ()
    """Of a booking: what it reserves, and has first."""
    also: tuple[str, ...] = ()
    """Resources that are shut, but lent to it; it has them before what is open."""
    behind: tuple[str, ...] = ()
    """Resources that those behind it keep; it has them if what is open will not do."""

    @property
    def is_simple(self) -> bool:
        """Whether it is no matter whose it is: to all, the same is open and preferred."""
        return not (self.excluded or self.reserved or self.also or self.behind)

    @property
    def has_kept(self) -> bool:
        """Whether it may have something of what others keep."""
        return bool(self.also or self.behind)

    @classmethod
    def of(
        cls,
        request: Request,
        now_ms: int,
        also: tuple[str, ...] = (),
        behind: tuple[str, ...] = (),
    ) -> "Wish":
        """Return what a queued request looks for."""
        booking = request.id if request.until_ms else ""
        span = now_ms, request.ends_ms(now_ms)
        return cls(request.asked, request.excluded, booking, *span, request.reserved, also, behind)
