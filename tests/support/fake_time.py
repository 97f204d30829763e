"""Time that passes when the test says so, for what takes a `Time`."""

import asyncio


class FakeTime:
    """`now` stands still until `pass_by`; sleepers wake in the order of their times."""

    def __init__(self, now_s: float = 1_000.0) -> None:
        self._now_s = now_s
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._now_s + seconds, future)
        self._sleepers.append(entry)
        try:
            await future
        finally:
            self._sleepers.remove(entry)

    @property
    def due_s(self) -> list[float]:
        """How long each sleeper still sleeps."""
        return sorted(due - self._now_s for due, _ in self._sleepers)

    def pass_by(self, seconds: float) -> None:
        """Let time pass in one jump, as for a stopped process; wakes whoever is due."""
        self._now_s += seconds
        for due, future in sorted(self._sleepers, key=lambda sleeper: sleeper[0]):
            if due <= self._now_s and not future.done():
                future.set_result(None)
