"""An allocation in each of its states."""

from hwprovisioner.state.tables import AllocationState, EndReason
from support.booking import book
from support.state_lab import NOW, StateLab

STATES = [*AllocationState, None]
"""None: there is no such allocation."""
MAX_MS = 60_000
WAIT_MS = 40_000


async def allocation_in(lab: StateLab, state: AllocationState | None) -> list[str]:
    """Bring allocation a into a state, and resource r back out of it; return its holds."""
    who = await lab.register()
    await lab.describe(who)
    await lab.elect()
    await lab.tend()
    if state is None:
        return []
    if state is AllocationState.BOOKED:
        await book(lab)
        return []
    await lab.submit(max_ms=MAX_MS, wait_ms=WAIT_MS)
    if state is AllocationState.QUEUED:
        return []
    if state is AllocationState.ENDED:
        await lab.allocations.end("a", [], EndReason.REVOKED, "by the operator", now_ms=NOW)
        return []
    [hold] = await lab.grant("a")
    await lab.holds.accept(who, hold.id, hold.fence, now_ms=NOW)
    if state is AllocationState.READY:
        await lab.holds.ready(who, hold, hold.fence, "{}", now_ms=NOW)
    assert lab.view.allocations["a"].state is state
    return [hold.id]
