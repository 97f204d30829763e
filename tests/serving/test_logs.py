import importlib
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from hwprovisioner.serving import logs

#: It has no stubs.
cygrpc: Any = importlib.import_module("grpc._cython.cygrpc")


@pytest.fixture
def root() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.usefixtures("root")
def test_text_has_one_line_a_record_with_its_extras() -> None:
    stream = io.StringIO()
    logs.configure(log_format="text", level="info", stream=stream)
    logging.getLogger("hwp").info("granted %s", "a1", extra={"resource": "r1"})
    logging.getLogger("hwp").debug("not shown")
    [line] = stream.getvalue().splitlines()
    assert line.endswith("Z INFO    hwp: granted a1 resource=r1")


@pytest.mark.usefixtures("root")
def test_words_of_others_neither_drive_terminals_nor_forge_records() -> None:
    stream = io.StringIO()
    logs.configure(log_format="text", level="info", stream=stream)
    extra = {"user": "eve\n2026-01-01T00:00:00Z INFO    hwp: all is well"}
    logging.getLogger("hwp").info("for %s", "\x1b[2Jeve\r", extra=extra)
    first, second = stream.getvalue().splitlines()
    assert first.endswith(r"for \x1b[2Jeve\r user=eve")
    assert second.startswith("  2026")


@pytest.mark.usefixtures("root")
def test_json_has_one_object_a_record_with_its_traceback() -> None:
    stream = io.StringIO()
    logs.configure(log_format="json", level="warning", stream=stream)
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("hwp").exception("failed", extra={"allocation": "a1"})
    record = json.loads(stream.getvalue())
    assert record["traceback"].endswith("ValueError: no")
    assert {name: record[name] for name in ("level", "logger", "message", "allocation")} == {
        "level": "ERROR",
        "logger": "hwp",
        "message": "failed",
        "allocation": "a1",
    }


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("said", "is_shown"),
    [
        ('Failed "execute_batch": (<SendMessageOperation>,)', False),
        ("Failed grpc_call_start_batch: 8 with grpc_call_error value", True),
    ],
)
def test_that_a_caller_had_gone_is_no_error_but_what_grpc_was_asked_wrongly_is(
    said: str, is_shown: bool
) -> None:
    stream = io.StringIO()
    logs.configure(log_format="text", level="info", stream=stream)
    try:
        raise cygrpc.ExecuteBatchError(said)
    except cygrpc.ExecuteBatchError:
        logging.getLogger("grpc._cython.cygrpc").exception("raised in core by method [X]")
    assert bool(stream.getvalue()) is is_shown
