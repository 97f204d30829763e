"""The machines of a simulated lab: what holds each of them, and how planning sees that."""

from collections import defaultdict
from collections.abc import Mapping

from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.room import Room, Share
from hwprovisioner.allocate.simulate.scenario import Machine


class Floor:
    """Machines and the shares that are taken of them."""

    def __init__(self, machines: Mapping[str, Machine]) -> None:
        """Begin with all of them free."""
        self._machines = machines
        self._holds: dict[str, dict[str, tuple[Share, int]]] = defaultdict(dict)

    def take(self, machine: str, hold: str, share: Share, until_ms: int) -> None:
        """Note that a hold has a share until a time at the latest, 0 for not known."""
        self._holds[machine][hold] = share, until_ms

    def free(self, machine: str, hold: str) -> tuple[Standing, int]:
        """Give a share back; returns how the machine stands, and when all of it is free."""
        holds = self._holds[machine]
        del holds[hold]
        room = Room.whole(self._machines[machine].spec)
        for share, _ in holds.values():
            room = room.without(share)
        ends = [until_ms for _, until_ms in holds.values()]
        return Standing(room), max(ends) if ends and all(ends) else 0
