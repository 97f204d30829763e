"""The part of the state machine test in which Redis comes back with an older copy of the lab."""

import copy
from dataclasses import dataclass

from hypothesis.stateful import precondition, rule

from hwprovisioner.state.keys import Kind
from hwprovisioner.state.scripts import script
from support.lab_dump import Dump
from support.lab_machine_upkeep import UpkeepMachine
from support.lab_model_managers import WholeLabModel
from support.lab_promises import Records

_COPIES = 1
"""The database that has the copy."""


@dataclass(frozen=True)
class Copy:
    """A lab as it was."""

    keys: list[str]
    model: WholeLabModel


class LossMachine(UpkeepMachine):
    """Everything that was acknowledged since may be lost, and what remains is recognized."""

    def __init__(self) -> None:
        super().__init__()
        self.copy: Copy | None = None
        self.latest = 0

    @rule()
    def a_copy_is_made(self) -> None:
        keys = self.run(self.lab.link.call("KEYS", self.lab.keys.prefix + "*"))
        for key in keys:
            self.run(self.lab.link.call("COPY", key, key, "DB", _COPIES, "REPLACE"))
        self.copy = Copy(keys, copy.deepcopy(self.model))

    @precondition(lambda self: self.copy is not None)
    @rule()
    def the_copy_comes_back(self) -> None:
        assert self.copy is not None
        call = self.lab.link.call
        # Whoever set the clock back has set it right by then.
        now = self.latest = max(self.latest, self.now) + 1
        self.run(call("FLUSHDB"))
        self.run(call("SELECT", _COPIES))
        for key in self.copy.keys:
            self.run(call("COPY", key, key, "DB", 0))
        self.run(call("SELECT", 0))
        self.model = copy.deepcopy(self.copy.model)
        self.model.now = now
        self.run(call("DEL", self.lab.keys.run))
        last = self.lab.view.revision
        revision = self.run(self.recognized())
        assert revision > last, "no revision comes twice"
        self.model.recognize(revision)
        self.lab.epoch, self.elected = revision, ""
        self.begin_anew(self.run(self.lab.dump()))

    async def recognized(self) -> int:
        keys, managers = self.lab.keys, sorted(self.model.managers)
        names = [keys.revision, keys.log, keys.deadlines, keys.run, keys.scheduler, keys.tended]
        names += [keys.record(Kind.MANAGER, manager) for manager in managers]
        args = [str(self.now), str(self.lab.limits.lost_ms), *managers]
        reply = await self.lab.checked.call_script(script("recognize"), names, args)
        assert reply[0] == "CHANGED"
        return int(reply[1])

    def begin_anew(self, dump: Dump) -> None:
        """Let all views load what there is now; fences may have fallen."""
        found = Records.of(dump)
        tables = (found.allocations, found.holds, found.resources, found.managers)
        records = [record for table in tables for record in table.values()]
        for view in (self.lab.view, self.follower, self.stale):
            view.load(int(dump["revision"][0]), records)
        self.lab.commits.clear()
        self.dump = {}
