"""The closing section of a run: which test had which hardware. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hwprovisioner.client.durations import show


def lines(used: Sequence[tuple[str, Mapping[str, str]]]) -> Iterator[str]:
    """Writes a line for each test, and the sum of the waits if there was any to speak of."""
    waits = [float(properties.get("hw_wait_s", 0)) for _, properties in used]
    for (nodeid, properties), wait_s in zip(used, waits, strict=True):
        yield (
            f"{nodeid}  {properties['hw_resources']}  waited {show(wait_s)}"
            f"  heartbeats {properties.get('hw_heartbeats', '0')}  {properties['hw_allocation']}"
        )
    allocations = len({properties["hw_allocation"] for _, properties in used})
    yield (
        f"{allocations} allocation{'s' if allocations != 1 else ''},"
        f" waited {show(sum(waits))} altogether"
    )
