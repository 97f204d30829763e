"""Histories written by hand, for the checker: one line after another, each a moment later."""

import json
from typing import Any

from chaos.broken import Broken
from chaos.check_leases import Lateness
from chaos.checker import check
from chaos.history import Line

STEP_MS = 10.0
TTL_MS = 2000
_EPOCH_MS = 1_000_000.0


class History:
    """A history that grows; `wait` lets time pass."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._now_ms = _EPOCH_MS
        self._calls = 0
        self._revision = 0

    def wait(self, ms: float) -> None:
        self._now_ms += ms

    def write(self, who: str, kind: str, **fields: Any) -> None:
        self._now_ms += STEP_MS
        self.lines.append(Line(self._now_ms / 1000, self._now_ms, who, kind, fields))

    def call(self, name: str, outcome: str = "ok", *, lasts_ms: float = 0, **fields: Any) -> None:
        """A call of client c, with its answer; `unknown` has none."""
        self._calls += 1
        self.write("c", "call", call=self._calls, name=name, **fields)
        self.wait(lasts_ms)
        if outcome != "unknown":
            self.write("c", "answer", call=self._calls, outcome=outcome, **fields)

    def log(self, event: str, *changes: tuple[str, str, dict[str, Any]]) -> None:
        """An entry of the change log; what has no fields is gone."""
        self._revision += 1
        found = [
            [kind, name, [part for item in fields.items() for part in item]]
            if fields
            else [kind, name]
            for kind, name, fields in changes
        ]
        self.write(
            "log", "log", revision=self._revision, t=self._now_ms, event=event, changes=found
        )

    def fault(self, phase: str, hurts: str) -> None:
        """A fault that hits somebody begins, or ends."""
        self.write("lab", "fault", phase=phase, fault="kill", target=hurts, hurts=hurts)

    def lose(self, changes: int) -> None:
        """Redis loses its last changes, as it may."""
        self.write("lab", "fault", phase="begin", fault="lose", target="redis", hurts="", loses=1)
        left = self._revision - changes
        self.write("log", "rewound", revision=left, before=self._revision)
        self._revision += 1000
        self.log("recognize", ("manager", "m", {"epoch": 0}))

    def submit(self, name: str = "a", hosts: int = 1, request: str = "r") -> None:
        demands = json.dumps({"hosts": {f"h{n}": {} for n in range(hosts)}})
        sort = {"user": "u", "class_id": f"{hosts} hosts", "priority": 0}
        fields = {"state": "QUEUED", "ttl_ms": TTL_MS, "demands": demands, "holds": "", **sort}
        self.log("submit", ("allocation", name, fields))
        self.call("allocate", request=request, allocation=name, token=f"token of {name}")

    def grant(self, name: str = "a", *fences: int, resource: str = "board") -> None:
        """One host on the board, or one on each of several for several fences."""
        holds: list[tuple[str, str, dict[str, Any]]] = []
        for n, fence in enumerate(fences or (1,)):
            board = resource if n == 0 else f"{resource}{n}"
            hold = {"allocation": name, "resource": board, "state": "OFFERED", "fence": fence}
            holds += [
                ("hold", f"{board}.{fence}", hold),
                ("resource", board, {"fence": fence}),
            ]
        self.log("grant", *holds, ("allocation", name, {"state": "PREPARING"}))

    def ready(self, name: str = "a", hold: str = "board.1") -> None:
        board, _, fence = hold.partition(".")
        self.log("accept", ("hold", hold, {"state": "PREPARING"}))
        self.hardware("prepare", hold, name)
        self.log(
            "ready", ("hold", hold, {"state": "READY"}), ("allocation", name, {"state": "READY"})
        )
        self.write("c", "ready", allocation=name, holds=[[board, hold, int(fence)]])

    def use(self, name: str = "a", resource: str = "board") -> None:
        began = (self._now_ms + STEP_MS) / 1000
        self.write("c", "use", allocation=name, resource=resource, began=began)

    def end(self, name: str = "a", reason: str = "RELEASED", hold: str = "board.1") -> None:
        board, _, fence = hold.partition(".")
        raised = int(fence) + 1
        self.log(
            "expire" if reason == "EXPIRED" else "release",
            ("resource", board, {"fence": raised}),
            ("hold", hold, {"state": "CLEANING", "fence": raised}),
            ("allocation", name, {"state": "ENDED", "end_reason": reason}),
        )

    def clean(self, name: str = "a", hold: str = "board.1") -> None:
        self.hardware("clean", hold, name)
        self.hardware("cleaned", hold, name)
        self.log("cleaned", ("hold", hold, {}))

    def hardware(
        self, action: str, hold: str = "board.1", name: str = "a", *, pid: int = 1
    ) -> None:
        board, _, fence = hold.partition(".")
        self.write(
            *(board, "hardware"),
            action=action,
            resource=board,
            hold=hold,
            pid=pid,
            fence=int(fence),
            allocation=name,
        )

    def live(self, name: str = "a", hold: str = "board.1", request: str = "r") -> None:
        """All of an allocation's life up to its use."""
        self.submit(name, request=request)
        board, _, fence = hold.partition(".")
        self.grant(name, int(fence), resource=board)
        self.ready(name, hold)
        self.use(name, board)


def only(history: History, lateness: Lateness | None = None) -> Broken:
    """Return the one broken promise."""
    found = check(history.lines, lateness)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]
