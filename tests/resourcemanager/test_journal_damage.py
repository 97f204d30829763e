"""The journal when it is cut, damaged, killed, or cannot be written: what was flushed is there."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwprovisioner.resourcemanager import Hold, Instance, JournalError
from hwprovisioner.resourcemanager import journal as journal_module
from hwprovisioner.resourcemanager.holds import Held
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.records import Pooled, Put, encode


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


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="file/journal"):
        Journal.open(tmp_path / "file" / "journal")


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
