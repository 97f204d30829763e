from xml.etree import ElementTree

import pytest
from benchmarks.profiles import flame
from benchmarks.profiles.stacks import by_part, is_waiting, named, own, parse, within

LOOP = "0x7f (libc.so.6);<module> (hwp-heartbeat:8);Runner.run (asyncio/runners.py:118)"
CALLED = "Loop__run (loop.c:20313);task_step (_asynciomodule.c:2990)"
RAW = f"""\
{LOOP};{CALLED};Gatherer._settle (heartbeat/gathering.py:102);pack_command (pack.c:106) 3
{LOOP};{CALLED};Gatherer._settle (heartbeat/gathering.py:98) 1
{LOOP};{CALLED};uv__io_poll (linux.c:1);0x7f (libc.so.6) 90
Thread._bootstrap (threading.py:1);0x7f (cygrpc.so);0x7f (libc.so.6) 50
"""


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ("outer.<locals>.inner (serving/interceptor.py:106)", "outer.inner (serving/interceptor)"),
        ("__init__ (<string>:4)", "__init__ (<string>)"),
        ("0x7fe94cae7a38 (grpc/_cython/cygrpc.cpython-311-x86_64-linux-gnu.so)", "gRPC (C)"),
        ("uv__queue_empty (core.c:33)", "uvloop (C)"),
        ("0x7fe94e04524a (libc.so.6)", "system calls"),
        ("Py_DECREF (object.h:537)", ""),
        ("Runner.run (asyncio/runners.py:118)", ""),
    ],
)
def test_frames_are_told_by_function_or_library(frame: str, expected: str) -> None:
    assert named(frame) == expected


def test_waiting_is_no_work() -> None:
    assert is_waiting(["a (b.py:1)", "uv__io_poll (linux.c:1)", "0x7f (libc.so.6)"])
    assert not is_waiting(["uv__io_poll (linux.c:1)", "serve (heartbeat/servicer.py:1)"])


def test_stacks_are_added_up() -> None:
    stacks = parse(RAW)

    settle = "Gatherer._settle (heartbeat/gathering)"
    assert stacks == {
        ("uvloop (C)", settle, "hiredis (C)"): 3,
        ("uvloop (C)", settle): 1,
    }
    assert own(stacks) == {"hiredis (C)": 0.75, settle: 0.25}
    assert within(stacks)[settle] == 1


def test_a_sample_is_caused_by_the_module_that_called_last() -> None:
    stacks = {
        ("gRPC (C)", "serve (allocate/servicer)", "call (state/link)", "hiredis (C)"): 2,
        ("gRPC (C)", "wait (asyncio/tasks)"): 1,
        ("uvloop (C)",): 1,
    }

    assert by_part(stacks) == {
        "state/link": 0.5,
        "gRPC by itself": 0.25,
        "the event loop by itself": 0.25,
    }


def test_a_flame_graph_is_as_wide_as_what_it_shows() -> None:
    picture = ElementTree.fromstring(flame.draw("beats", parse(RAW)))  # noqa: S314  # our own

    titles = {each.text for each in picture.iter("{http://www.w3.org/2000/svg}title")}
    assert "hiredis (C): 75.0%" in titles
