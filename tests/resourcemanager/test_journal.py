"""The journal: what it knows of holds, instances, fences and looks, opened again, too."""

from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import Connection, Hold, Instance, JournalError, ledger
from hwprovisioner.resourcemanager import journal as journal_module
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.records import Pooled


def test_an_instance_is_the_pools_until_it_is_given_away(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.open(path)
    for name in ("p1", "p2", "p3"):
        journal.put(Pooled("rack", Instance(name), "maker"))
    held = Held(Hold("h1", "rack", 1))
    journal.put(held)
    journal.put(held.given("p1"))
    journal.unpool("p2")
    journal.unpool("nobody's")
    for _ in range(2):  # as it was written, and as it was rewritten
        assert list(journal.pooled) == ["p3"]
        assert journal.holds["h1"].hold.instance == "p1"
        journal.close()
        journal = Journal.open(path)
    journal.put(held.given(""))
    assert list(journal.pooled) == ["p3"]
    assert journal.holds["h1"].hold.instance == "h1"
    journal.close()


def test_a_journal_is_found_as_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal"
    journal = Journal.open(path)
    journal.put(Held(Hold("a", "box", 3)))
    journal.put(Held(Hold("b", "box", 9), Phase.READY, Connection("local")))
    journal.forget("a")
    journal.close()
    again = Journal.open(path)
    assert dict(again.holds) == {"b": Held(Hold("b", "box", 9), Phase.READY, Connection("local"))}
    assert again.fence("box") == 9
    assert again.fence("other") == 0
    again.close()


def test_the_fence_of_a_resource_only_rises(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    journal.put(Held(Hold("a", "box", 9)))
    journal.put(Held(Hold("b", "box", 4)))
    assert journal.fence("box") == 9
    journal.close()


def test_two_managers_cannot_have_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.open(path)
    with pytest.raises(JournalError, match="another resource manager is using it"):
        Journal.open(path)
    journal.close()
    Journal.open(path).close()


def test_the_fences_of_offers_and_of_ends_are_told_apart(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    journal.put(Held(Hold("a", "rack", 4)))
    journal.put(Held(Hold("a", "rack", 7), Phase.CLEANING))
    journal.forget("a")
    journal.close()
    for _ in range(2):
        again = Journal.open(tmp_path / "journal")
        assert (again.fence("rack"), again.offered_fence("rack")) == (7, 4)
        again.close()


def test_the_newest_look_is_the_one_that_was_asked_for_last(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    assert journal.look("box") == 0
    journal.looked("box", 7)
    # A lab that has lost its records begins anew.
    journal.looked("box", 3)
    journal.put(Held(Hold("a", "box", 9)))
    journal.close()
    for _ in range(2):
        again = Journal.open(tmp_path / "journal")
        assert (again.look("box"), again.fence("box"), again.offered_fence("box")) == (3, 9, 9)
        again.close()


def test_a_journal_keeps_its_id_until_it_is_lost_or_damaged(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    ids: list[str] = []
    for spoil in (None, None, "damage", None, "loss", None):
        if spoil == "loss":
            path.unlink()
        if spoil == "damage":
            path.write_bytes(b"junk\n" + path.read_bytes())
        journal = Journal.open(path)
        journal.put(Held(Hold(f"h{len(ids)}", "box", 1)))
        ids.append(journal.id)
        journal.close()
    one, two, three = ids[0], ids[2], ids[4]
    assert ids == [one, one, two, two, three, three]
    assert len({one, two, three, ""}) == 4


def test_that_its_mark_is_new_is_known_as_long_as_there_is_the_journal(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    assert not journal.has_new_mark
    journal.note_new_mark()
    journal.close()
    for _ in range(2):
        again = Journal.open(tmp_path / "journal")
        assert again.has_new_mark
        again.close()
    (tmp_path / "journal").unlink()
    lost = Journal.open(tmp_path / "journal")
    assert not lost.has_new_mark
    lost.close()


def test_a_resources_holds_are_found_without_the_others(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    for fence, (hold_id, resource) in enumerate([("a", "box"), ("b", "rack"), ("c", "box")], 1):
        journal.put(Held(Hold(hold_id, resource, fence)))
    journal.forget("a")
    assert [held.hold.id for held in journal.of("box")] == ["c"]
    journal.forget("c")
    assert list(journal.of("box")) == []
    journal.close()


def test_a_journal_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_SLACK", 20)
    monkeypatch.setattr(ledger, "CLEANED_KEPT", 5)
    path = tmp_path / "journal"
    journal = Journal.open(path)
    for fence in range(1, 500):
        journal.put(Held(Hold(f"h{fence}", "box", fence), Phase.CLEANED))
    assert len(path.read_bytes().splitlines()) < 50
    assert len(journal.holds) == 5
    assert "h499" in journal.holds
    journal.close()
    again = Journal.open(path)
    assert again.fence("box") == 499
    again.close()
