"""The reader of the change log, when Redis is about to lose what nobody has read yet."""

import json
from pathlib import Path

from chaos.follow import LogReader
from chaos.history import Recorder, read
from chaos.lab_redis import renaming
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.resp import packed

KEYS = Keys()


def entry(revision: int, event: str) -> bytes:
    changes = json.dumps([["allocation", "a", ["state", "QUEUED"]]])
    limit = ("MAXLEN", "~", 1000)
    fields = ("t", 1_000, "e", event, "c", changes)
    return packed("XADD", KEYS.log, *limit, f"{revision}-0", *fields)


def test_what_redis_had_written_is_noted_once_and_up_to_where_it_was_cut(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "log.jsonl", "log")
    reader = LogReader(Link("redis://127.0.0.1:1/0"), KEYS, recorder)
    first = packed("MULTI") + entry(7, "submit") + packed("HSET", "x", "y", "z") + packed("EXEC")
    reader.note_tail(first)
    reader.note_tail(first + entry(8, "grant") + entry(9, "ready")[:-20])
    assert [(line["revision"], line["event"]) for line in read(tmp_path)] == [
        (7, "submit"),
        (8, "grant"),
    ]
    assert reader.revision == 8


def test_a_sentinel_names_the_proxies_instead_of_the_servers() -> None:
    rename = renaming({40001: 40011, 40002: 40012})
    said = b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n40002\r\n"
    assert rename(said) == b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n40012\r\n"
