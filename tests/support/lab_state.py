"""A lab in a real Redis, as tests of what reads and writes it need it."""

from dataclasses import dataclass, field

from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.care import Care, Tended
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import EndReason

TOKEN = "the-token"


@dataclass
class LabState:
    """Allocations without hosts, and what Redis has about them."""

    link: Link
    keys: Keys = field(default_factory=Keys)

    def __post_init__(self) -> None:
        self.allocations = Allocations(self.link, self.keys, lambda commit: None)
        self.care = Care(self.link, self.keys, lambda commit: None)

    async def submit(
        self, name: str, *, ttl_ms: int = 30_000, max_ms: int = 0, now_ms: int | None = None
    ) -> str:
        allocation = Allocation(id=name, ttl_ms=ttl_ms, max_ms=max_ms)
        await self.allocations.submit(
            allocation, token=TOKEN, request_id=f"request-{name}", digest="", now_ms=now_ms
        )
        return name

    async def book(self, name: str, *, in_ms: int, ttl_ms: int = 30_000) -> str:
        """Book nothing, for an hour."""
        from_ms = await self.now_ms() + in_ms
        allocation = Allocation(
            id=name, ttl_ms=ttl_ms, book_from_ms=from_ms, book_until_ms=from_ms + 3_600_000
        )
        request_id = f"request-{name}"
        await self.allocations.book(
            allocation, token=TOKEN, request_id=request_id, digest="", places=[]
        )
        return name

    async def tend(self, now_ms: int | None = None) -> None:
        """Look after leases: without that they are paused."""
        assert isinstance(await self.care.tend(now_ms=now_ms), Tended)

    async def end(self, name: str, reason: EndReason, detail: str) -> None:
        assert await self.allocations.end(name, [], reason, detail)

    async def deadline_ms(self, name: str) -> int:
        return int(await self.link.call("ZSCORE", self.keys.deadlines, f"lease:{name}"))

    async def alarm_ms(self, name: str) -> int:
        """When the alarm key expires; not above 0 if it is not there."""
        left_ms = int(await self.link.call("PTTL", self.keys.alarm(name)))
        return left_ms if left_ms < 0 else left_ms + await self.now_ms()

    async def now_ms(self) -> int:
        seconds, microseconds = await self.link.call("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000
