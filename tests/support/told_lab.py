"""A lab as its records say, for tests of what is told of it. Its clock stands at `NOW_MS`."""

import json
from typing import Any

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.policy import Policy
from hwprovisioner.allocate.set_demands import class_id
from hwprovisioner.allocate.telling.kept import Kept
from hwprovisioner.allocate.telling.outlook import Outlook
from hwprovisioner.state.transitions import Commit
from hwprovisioner.state.view import View

MINUTE_MS = 60_000
NOW_MS = 1_000_000 * MINUTE_MS
ONE = json.dumps({"hosts": {"h": {"cpus": "4"}}})
PAIR = json.dumps({"hosts": {"a": {}, "b": {}}})


def always_new() -> Kept:
    """Keeps nothing longer than until the next change, however slow the machine is."""
    return Kept(effort=lambda: 0.0)


class Records:
    """A lab of one manager, as its records say."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.view = View()
        self.lab = Lab(self.view, policy or Policy())
        self.outlook = Outlook(self.view, self.lab)
        self.outlook.kept = always_new()
        self.change("manager", "m", id="m", presence="ONLINE")

    def change(self, kind: str, record_id: str, **fields: object) -> None:
        flat = [word for pair in fields.items() for word in pair]
        changes = json.dumps([[kind, record_id, flat] if flat else [kind, record_id]])
        self.view.offer(Commit(self.view.revision + 1, NOW_MS, "test", changes))

    def machine(self, name: str, holder: str = "", **more: Any) -> None:
        """Register a machine of 4 cpus, perhaps with an allocation that has it."""
        self.change(
            "resource",
            name,
            name=name,
            manager="m",
            spec=json.dumps({"cpus": "4"}),
            volunteered=1,
            cpus=4,
            used_slots=int(bool(holder)),
            holds=f"{name}.1" if holder else "",
            **more,
        )
        if holder:
            hold = {"id": f"{name}.1", "resource": name, "allocation": holder, "cpus": 4}
            self.change("hold", f"{name}.1", state="READY", host="h", **hold)

    def holder(self, name: str, minutes: float, **more: object) -> None:
        """Let an allocation run since some minutes."""
        since = NOW_MS - int(minutes * MINUTE_MS)
        fields = {"state": "READY", "since_ms": since, "holds": f"{name}.1", "demands": ONE}
        self.change("allocation", name, **{"id": name, **fields, **more})

    def queue(self, name: str, demands: str = ONE, **more: object) -> None:
        fields = {"state": "QUEUED", "turn": self.view.revision, "class_id": class_id(demands)}
        self.change("allocation", name, **{"id": name, "demands": demands, **fields, **more})

    def reason(self, name: str, failure: str = "") -> str:
        return self.outlook.reason(self.lab.planner.queue.requests[name], failure)

    def minutes(self, name: str) -> tuple[float, float]:
        """Return in how many minutes a request is expected, 0 for unknown."""
        expected = self.outlook.expected(self.lab.planner.queue.requests[name])
        instants = expected.middle_ms, expected.likely_ms
        middle, likely = ((each - NOW_MS) / MINUTE_MS if each else 0 for each in instants)
        return middle, likely
