"""The view: changes in any order, gaps, what is told of them and what is remembered."""

import asyncio
import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.state import view as view_module
from hwprovisioner.state.errors import RevisionForgotten
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import Hold, Manager, Resource
from hwprovisioner.state.tables import HoldState
from hwprovisioner.state.transitions import Commit
from hwprovisioner.state.view import Change, View
from support.lab_promises import Records, check_view
from support.state_lab import NOW, TOKEN, StateLab


def put(revision: int, *fields: object, name: str = "r") -> Commit:
    """Return a change of one resource."""
    changes = [["resource", name, [*fields, "rev", revision]]]
    return Commit(revision, NOW, "test", json.dumps(changes))


def created(revision: int, name: str = "r") -> Commit:
    return put(revision, "name", name, "manager", "m", name=name)


def dropped(revision: int, name: str = "r") -> Commit:
    return Commit(revision, NOW, "test", json.dumps([["resource", name]]))


STORY = [
    created(1),
    put(2, "cpus", 8),
    created(3, "s"),
    put(4, "cpus", 16),
    dropped(5),
    created(6),
    put(7, "fence", "12"),
]
AFTER = {
    "r": Resource(name="r", manager="m", fence=12, rev=7),
    "s": Resource(name="s", manager="m", rev=3),
}


def told(view: View) -> list[Change | None]:
    heard: list[Change | None] = []
    view.listen(heard.append)
    return heard


@given(st.permutations(STORY), st.lists(st.sampled_from(STORY)))
def test_changes_are_applied_in_order_however_they_come(
    commits: list[Commit], again: list[Commit]
) -> None:
    view = View()
    heard = told(view)
    for commit in [*commits, *again]:
        view.offer(commit)
    assert view.resources == AFTER
    assert [change.revision for change in heard if change] == [1, 2, 3, 4, 5, 6, 7]


def test_nothing_after_a_gap_shows_before_the_gap_is_filled() -> None:
    view = View()
    for commit in (STORY[0], *STORY[2:]):
        view.offer(commit)
    assert view.revision == 1
    assert set(view.resources) == {"r"}
    view.offer(STORY[1])
    assert view.revision == 7


@given(st.integers(0, 7), st.integers(0, 7), st.data())
def test_records_loaded_while_they_changed_come_right_with_the_log(
    revision: int, newer: int, data: st.DataObject
) -> None:
    # Each record may have been read at another moment, all after the revision was.
    moments = [View() for _ in range(8)]
    for at, view in enumerate(moments):
        for commit in STORY[:at]:
            view.offer(commit)
    later = st.integers(min(revision, newer), 7)
    found = [moments[data.draw(later)].resources.get(name) for name in ("r", "s")]
    view = View()
    records = [record for record in found if record]
    view.load(min(revision, newer), records, STORY[min(revision, newer) :])
    assert view.resources == AFTER
    assert view.revision == 7


def test_what_a_change_did_is_told_with_before_and_after() -> None:
    view = View()
    heard = told(view)
    changes = [
        ["resource", "r", ["fence", 5, "rev", 2]],
        ["resource", "r", ["fence", 6, "rev", 2]],
        ["hold", "r.1", ["id", "r.1", "state", "CLEANING", "rev", 2]],
        ["manager", "m"],
    ]
    view.offer(created(1))
    view.offer(Commit(2, NOW, "test", json.dumps(changes)))
    before = Resource(name="r", manager="m", rev=1)
    change = heard[-1]
    assert change
    assert (change.revision, change.time_ms, change.event) == (2, NOW, "test")
    assert dict(change.records).keys() == {(Kind.RESOURCE, "r"), (Kind.HOLD, "r.1")}
    resource = change.records[Kind.RESOURCE, "r"]
    assert (resource.before, resource.after) == (before, replace(before, fence=6, rev=2))
    hold = change.records[Kind.HOLD, "r.1"]
    assert hold.before is None
    assert hold.after == Hold(id="r.1", state=HoldState.CLEANING, rev=2)


def test_a_load_replaces_everything_and_is_told_as_such() -> None:
    view = View()
    view.offer(created(1))
    view.offer(created(9, "early"))
    heard = told(view)
    view.load(4, [Manager(id="m", rev=3)])
    assert (view.revision, view.resources, list(view.managers)) == (4, {}, ["m"])
    assert heard == [None]
    for revision in range(5, 9):
        view.offer(created(revision, f"n{revision}"))
    assert "early" not in view.resources, "what was early for another lab is forgotten"


def test_a_load_is_told_only_when_it_is_whole() -> None:
    view = View()
    seen: list[tuple[int, int]] = []
    view.listen(lambda change: seen.append((view.revision, len(view.resources))))
    view.load(1, [Resource(name="r", manager="m", rev=1)], STORY[1:4])
    assert seen == [(4, 2)]


def test_history_returns_what_came_after_a_revision() -> None:
    view = View()
    for commit in STORY:
        view.offer(commit)
    assert [change.revision for change in view.history(3)] == [4, 5, 6, 7]
    assert list(view.history(7)) == []
    assert len(list(view.history(0))) == 7


@pytest.mark.parametrize("after", [-1, 8, 1000])
def test_history_refuses_revisions_that_never_were(after: int) -> None:
    view = View()
    for commit in STORY:
        view.offer(commit)
    with pytest.raises(RevisionForgotten):
        view.history(after)


def test_history_begins_anew_with_a_load() -> None:
    view = View()
    for commit in STORY:
        view.offer(commit)
    view.load(5, [], STORY[5:6])
    with pytest.raises(RevisionForgotten) as refusal:
        view.history(5)
    assert refusal.value.metadata == {"revision": "5", "oldest_revision": "6"}
    assert list(view.history(6)) == []
    view.offer(STORY[6])
    assert [change.revision for change in view.history(6)] == [7]


def test_history_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "HISTORY", 3)
    view = View()
    for commit in STORY:
        view.offer(commit)
    assert [change.revision for change in view.history(4)] == [5, 6, 7]
    with pytest.raises(RevisionForgotten):
        view.history(3)


async def test_waiting_for_a_revision_ends_when_the_view_has_it() -> None:
    view = View()
    waiting = [asyncio.ensure_future(view.reached(revision)) for revision in (1, 3)]
    view.offer(STORY[2])
    view.offer(STORY[0])
    await waiting[0]
    assert not waiting[1].done()
    view.offer(STORY[1])
    await waiting[1]


async def test_commits_of_one_replica_and_the_log_of_another_give_the_same_view(
    lab: StateLab,
) -> None:
    who = await lab.register()
    await lab.describe(who, slots=3)
    await lab.elect()
    for name in ("a", "b"):
        await lab.submit(name, wait_ms=1000, max_ms=2000)
        await lab.grant(name)
    [hold] = lab.view.allocations["a"].holds
    await lab.holds.accept(who, hold, 1, now_ms=NOW)
    await lab.holds.fail(who, lab.view.holds[hold], 1, [hold], "smoke", now_ms=NOW)
    [other] = lab.view.allocations["b"].holds
    await lab.holds.decline(who, lab.view.holds[other], 2, [other], "busy", 100, now_ms=NOW)
    await lab.allocations.release("b", [], token=TOKEN, now_ms=NOW)
    await lab.managers.withdraw(who, "r", "sold", removed=True, now_ms=NOW)
    await lab.holds.cleaned(who, hold, 3, now_ms=NOW)
    await lab.allocations.forget(lab.view.allocations["b"], now_ms=NOW + lab.limits.retention_ms)
    assert lab.view.resources == {}
    follower = View()
    logged = await lab.logged(0)
    for mine, theirs in itertools.zip_longest(lab.commits[::-1], logged):
        follower.offer(mine)
        follower.offer(theirs)
    check_view(follower, Records.of(await lab.dump()))
    check_view(lab.view, Records.of(await lab.dump()))
    assert lab.commits == logged


async def test_texts_come_through_the_log_as_they_were(lab: StateLab) -> None:
    text = 'ü "quoted" \\ / \x7f \x01 \u2028 🙂 {} [] ,'
    who = await lab.register(now_ms=NOW)
    await lab.describe(who, "r", text)
    [commit] = await lab.logged(lab.view.revision - 1)
    follower = View()
    follower.offer(replace(commit, revision=1))
    assert follower.resources["r"].spec == lab.view.resources["r"].spec == text
