import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwprovisioner.resourcemanager import (
    Connection,
    Hold,
    Instance,
    JournalError,
    OperatingSystem,
    Share,
    ledger,
)
from hwprovisioner.resourcemanager import journal as journal_module
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.records import Pooled, Put, Unpooled, decode, encode

words = st.text(max_size=20)


@st.composite
def any_held(draw: st.DrawFn) -> Held:
    share = Share(draw(st.integers(0, 64)), draw(st.integers(0, 2**63 - 1)), (0, 3))
    hold = Hold(
        id=draw(words),
        resource=draw(words),
        fence=draw(st.integers(0, 2**63 - 1)),
        share=share,
        user=draw(words),
        demand={"cpus": draw(words), "labels": [draw(words)]},
    )
    connection = Connection("ssh", draw(words), 22, properties={draw(words): draw(words)})
    phase = draw(st.sampled_from(list(Phase)))
    reason, is_lost = draw(words), draw(st.booleans())
    return Held(hold, phase, draw(st.sampled_from([None, connection])), reason, is_lost)


@given(any_held())
def test_a_record_is_read_as_it_was_written(held: Held) -> None:
    line = encode(Put(held))
    assert decode(line) == Put(held)
    assert line.count(b"\n") == 1


@given(words, words, st.integers(0, 2**53))
def test_an_instance_is_read_as_it_was_written(name: str, word: str, size: int) -> None:
    instance = Instance(
        name, Share(1, size, (2,)), word, OperatingSystem(word), size, parameters={word: word}
    )
    for record in (Pooled(word, instance, word), Unpooled(name)):
        assert decode(encode(record)) == record


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


def test_after_damage_no_instance_is_handed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal.open(path)
    journal.put(Pooled("rack", Instance("p1"), "maker"))
    start = path.stat().st_size
    journal.put(Held(Hold("h1", "rack", 1)).given("p1"))
    journal.put(Held(Hold("h2", "rack", 2)))
    journal.close()
    data = bytearray(path.read_bytes())
    data[start + 20] ^= 1
    path.write_bytes(data)
    again = Journal.open(path)
    assert dict(again.pooled) == {}
    assert "h2" in again.holds
    again.close()


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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_journal_that_was_cut_anywhere_has_all_that_was_written_whole(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "journal"
    path.unlink(missing_ok=True)
    journal = Journal.open(path)
    sizes = []
    for fence in range(1, 6):
        journal.put(Held(Hold(f"h{fence}", "box", fence)))
        sizes.append(path.stat().st_size)
    journal.close()
    cut = data.draw(st.integers(0, sizes[-1]))
    os.truncate(path, cut)
    again = Journal.open(path)
    whole = sum(size <= cut for size in sizes)
    assert list(again.holds) == [f"h{fence}" for fence in range(1, whole + 1)]
    assert again.fence("box") == whole
    again.put(Held(Hold("next", "box", 9)))
    again.close()
    last = Journal.open(path)
    assert "next" in last.holds
    last.close()


def test_damage_in_the_middle_is_kept_aside_and_costs_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal"
    path.write_bytes(
        encode(Put(Held(Hold("a", "box", 1))))
        + b"\xff\x00junk\n"
        + encode(Put(Held(Hold("b", "box", 2))))
    )
    journal = Journal.open(path)
    assert set(journal.holds) == {"a", "b"}
    assert b"junk" in (tmp_path / "journal.damaged").read_bytes()
    assert "1 lines cannot be read" in caplog.text
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


def test_a_look_that_cannot_be_written_counts_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal.open(tmp_path / "journal")

    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        journal.looked("box", 7)
    assert journal.look("box") == 7
    journal.close()


def test_a_resources_holds_are_found_without_the_others(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    for fence, (hold_id, resource) in enumerate([("a", "box"), ("b", "rack"), ("c", "box")], 1):
        journal.put(Held(Hold(hold_id, resource, fence)))
    journal.forget("a")
    assert [held.hold.id for held in journal.of("box")] == ["c"]
    journal.forget("c")
    assert list(journal.of("box")) == []
    journal.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="file/journal"):
        Journal.open(tmp_path / "file" / "journal")


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


def test_a_write_that_fails_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    journal = Journal.open(path)
    journal.put(Held(Hold("a", "box", 1)))
    real = os.write

    def half(file: int, data: bytes) -> int:
        return real(file, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="in part"):
        journal.put(Held(Hold("b", "box", 2)))
    monkeypatch.undo()
    assert set(journal.holds) == {"a"}
    journal.put(Held(Hold("c", "box", 3)))
    journal.close()
    again = Journal.open(path)
    assert set(again.holds) == {"a", "c"}
    again.close()


async def test_a_flush_during_a_rewrite_reaches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_SLACK", 0)
    journal = Journal.open(tmp_path / "journal")

    async def write(fence: int) -> None:
        journal.put(Held(Hold(f"h{fence % 3}", "box", fence)))
        await journal.flush()

    await asyncio.gather(*(write(fence) for fence in range(1, 200)))
    assert journal.fence("box") == 199
    journal.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from hwprovisioner.resourcemanager import Hold
from hwprovisioner.resourcemanager.holds import Held
from hwprovisioner.resourcemanager.journal import Journal

async def main():
    journal = Journal.open(Path(sys.argv[1]))
    fence = 0
    while True:
        fence += 1
        journal.put(Held(Hold(f"h{fence}", "box", fence)))
        await journal.flush()
        print(fence, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 50, 1200])
def test_what_was_flushed_survives_kill_9(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "journal"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        said = 0
        while said < lines:
            said = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
    process.wait()
    flushed = int(rest[-1]) if rest else said
    journal = Journal.open(path)
    assert {f"h{fence}" for fence in range(1, flushed + 1)} <= set(journal.holds)
    assert journal.fence("box") >= flushed
    journal.close()
