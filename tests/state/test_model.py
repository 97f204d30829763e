"""Records: read from hashes and rows, changed, and sharing the texts they have in common."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.state import record
from hwprovisioner.state.model import RECORDS, Allocation, Hold, Manager, Resource
from hwprovisioner.state.record import Record
from hwprovisioner.state.tables import AllocationState, EndReason, Presence

WORDS = {
    "state": ["QUEUED", "READY"],
    "end_reason": ["", "EXPIRED"],
    "presence": ["ONLINE", "LOST"],
    "health": ["HEALTHY", "SUSPECT"],
    "admin": ["ENABLED", "DRAINING"],
    "gpus": ["", "0", "1,12"],
    "used_gpus": ["", "3"],
}
"""What fields may hold that take neither any number nor any text."""


def texts_of(record_type: type[Record]) -> st.SearchStrategy[dict[str, str]]:
    """Return texts for some of the fields, as they may stand in a hash."""

    def one(name: str, default: object) -> st.SearchStrategy[str]:
        if name in WORDS:
            return st.sampled_from(WORDS[name][:1] if record_type is Hold else WORDS[name])
        if isinstance(default, bool):
            return st.sampled_from(["0", "1"])
        return (
            st.integers(0, 2**53).map(str)
            if isinstance(default, int)
            else st.text("ab,", max_size=5)
        )

    strategies = {f.name: one(f.name, f.default) for f in fields(record_type)}
    if record_type is Hold:
        strategies["state"] = st.sampled_from(["OFFERED", "CLEANING"])
    return st.fixed_dictionaries({}, optional=strategies)


record_types = st.sampled_from(sorted(RECORDS.values(), key=lambda r: r.kind))


@given(record_types.flatmap(lambda t: st.tuples(st.just(t), texts_of(t), texts_of(t))))
def test_hash_row_and_change_give_the_same_record(
    case: tuple[type[Record], dict[str, str], dict[str, str]],
) -> None:
    record_type, first, then = case
    row = [first.get(name) for name in record_type.field_names()]
    assert record_type.from_row(row) == record_type.parse(first)
    changed = record_type.parse(first).updated(then)
    assert changed == record_type.parse(first | then)
    assert type(changed) is record_type


def test_what_is_not_in_the_hash_has_its_default() -> None:
    assert Allocation.parse({}) == Allocation()
    assert Allocation.from_row([None] * len(Allocation.field_names())) == Allocation()


def test_fields_are_read_as_what_they_are() -> None:
    allocation = Allocation.parse(
        {"state": "ENDED", "end_reason": "PREEMPTED", "holds": "r.1,s.2", "ttl_ms": "5", "rev": 7}
    )
    assert allocation == Allocation(
        rev=7,
        state=AllocationState.ENDED,
        end_reason=EndReason.PREEMPTED,
        holds=("r.1", "s.2"),
        ttl_ms=5,
    )
    assert Hold.parse({"gpus": "1,12"}).gpus == (1, 12)
    assert Resource.parse({"volunteered": "1", "booked": "a,b"}).booked == ("a", "b")
    assert Manager.parse({"presence": "LOST"}).presence is Presence.LOST


def test_a_change_leaves_the_record_as_it_was_and_skips_what_it_does_not_know() -> None:
    before = Resource(name="r", fence=5, rev=1)
    after = before.updated({"fence": "6", "token_sha": "secret", "rev": 2})
    assert before == Resource(name="r", fence=5, rev=1)
    assert after == replace(before, fence=6, rev=2)


def test_a_row_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        Manager.from_row(["1"])


@pytest.fixture
def few_texts(monkeypatch: pytest.MonkeyPatch) -> record._Shared:
    monkeypatch.setattr(record, "_MOST_SHARED", 10)
    return record._Shared()


def fresh(text: str) -> str:
    """Return an object of its own that is equal."""
    return "".join(list(text))


@pytest.mark.parametrize("field", ["spec", "manager"])
def test_equal_texts_of_resources_are_one_object(field: str) -> None:
    one, other = (Resource.parse({field: fresh("the same text")}) for _ in range(2))
    assert getattr(one, field) is getattr(other, field)
    assert getattr(one.updated({field: fresh("the same text")}), field) is getattr(one, field)


@pytest.mark.parametrize("field", ["demands", "requestor", "user", "class_id"])
def test_equal_texts_of_allocations_are_one_object(field: str) -> None:
    one, other = (Allocation.parse({field: fresh("the same text")}) for _ in range(2))
    assert getattr(one, field) is getattr(other, field)


def test_texts_that_are_many_are_not_kept_for_ever(few_texts: record._Shared) -> None:
    first = few_texts(fresh("12345"))
    assert few_texts(fresh("12345")) is first
    few_texts("67890")
    assert few_texts(fresh("12345")) is first
    few_texts("x")
    assert few_texts(fresh("12345")) is not first
    assert few_texts("longer than all of it") == "longer than all of it"
