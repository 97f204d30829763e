"""What a lab must have in common with its model."""

from support.lab_dump import Dump
from support.lab_model_managers import WholeLabModel
from support.lab_promises import Records


def check_model(model: WholeLabModel, records: Records) -> None:
    """Fail if the records are not as the model has them."""
    assert {
        i: (
            a.state,
            list(a.holds),
            a.tries,
            a.reservation,
            a.preempt_ms,
            a.preempted_for,
            a.keep_ms,
        )
        for i, a in records.allocations.items()
    } == {
        i: (a.state, a.holds, a.tries, a.reservation, a.preempt, a.preempted_for, a.keep)
        for i, a in model.allocations.items()
    }
    assert {i: (h.state, h.fence, h.allocation) for i, h in records.holds.items()} == {
        i: (h.state, h.fence, h.allocation) for i, h in model.holds.items()
    }
    assert {
        i: (
            r.manager,
            r.fence,
            r.generation,
            r.health,
            r.health_reason,
            r.admin,
            r.looks,
            r.volunteered,
            r.booked,
        )
        for i, r in records.resources.items()
    } == {
        i: (
            r.manager,
            r.fence,
            r.generation,
            r.health,
            r.health_reason,
            r.admin,
            r.looks,
            r.volunteered,
            r.booked,
        )
        for i, r in model.resources.items()
    }
    assert {
        i: (m.presence, m.epoch, m.journal_id, m.journal_epoch) for i, m in records.managers.items()
    } == {
        i: (m.presence, m.epoch, m.journal_id, m.journal_epoch) for i, m in model.managers.items()
    }


def check_history(model: WholeLabModel, dump: Dump) -> None:
    """Fail if the lab remembers its past otherwise than the model."""
    assert {name: int(ms) for name, ms in dump.get("use", {}).items()} == model.use
    for name, resource in model.resources.items():
        outcomes = dump[f"resource:{name}"].get("outcomes", "")
        assert [each for each in outcomes.split(",") if each] == resource.outcomes, name
    for key, times in (("waits", model.waits), ("spans", model.spans)):
        found = dump.get(key, {})
        assert {i: [int(ms) for ms in text.split(",")] for i, text in found.items()} == times
