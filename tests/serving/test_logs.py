import io
import json
import logging
from collections.abc import Iterator

import pytest

from hwprovisioner.serving import logs


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
