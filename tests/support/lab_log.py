"""Changes of a lab, for what follows a view of it."""

import json
from collections.abc import Iterable, Mapping

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.state.transitions import Commit
from hwprovisioner.state.view import View


def asking(**hosts: Mapping[str, object]) -> str:
    """Return demands as a record has them."""
    return json.dumps({"hosts": hosts})


ANY, X, BIG = asking(h={}), asking(h={"labels": ["x"]}), asking(h={"cpus": "8"})
PAIR = asking(one={}, two={})
Fields = Mapping[str, object]


class Log:
    """Changes of a lab as scripts report them."""

    def __init__(self, view: View) -> None:
        self.view = view

    def change(self, kind: str, record_id: str, fields: Fields | None = None) -> None:
        flat = [word for pair in (fields or {}).items() for word in pair]
        changes = [[kind, record_id, flat] if fields else [kind, record_id]]
        revision = self.view.revision + 1
        self.view.offer(Commit(revision, 0, "test", json.dumps(changes)))

    def manager(self, name: str, presence: str = "ONLINE") -> None:
        self.change("manager", name, {"id": name, "presence": presence})

    def resource(
        self, name: str, cpus: int = 4, labels: Iterable[str] = (), **more: object
    ) -> None:
        spec = json.dumps({"cpus": str(cpus), "labels": dict.fromkeys(labels, "")})
        fields = {"manager": "m", "volunteered": 1, "slots": 1, "cpus": cpus, "used_slots": 0}
        self.change("resource", name, {"name": name, "spec": spec, **fields, **more})

    def allocation(self, name: str, state: str = "QUEUED", **more: object) -> None:
        fields = {"id": name, "state": state, "demands": ANY, "turn": self.view.revision}
        self.change("allocation", name, {**fields, **more})

    def hold(self, name: str, resource: str, allocation: str, **more: object) -> None:
        fields = {"id": name, "resource": resource, "allocation": allocation, "cpus": 4}
        self.change("hold", name, {**fields, **more})


def queued(lab: Lab) -> list[str]:
    """Return who waits, in their order."""
    return [request.id for request in lab.planner.queue.in_order()]
