import pytest
from benchmarks.frame.h2load import answered

SAID = """\
finished in 3.00s, 7000.00 req/s, 1.0MB/s
requests: 21000 total, 21128 started, 21000 done, 21000 succeeded, {failed} failed, 0 errored, 0 timeout
status codes: 21000 2xx, 0 3xx, 0 4xx, 0 5xx
"""  # noqa: E501


def test_answers_are_counted() -> None:
    found = answered(SAID.format(failed=0), seconds=3, in_flight=128)

    assert (found.per_second, found.answers, found.in_flight) == (7000, 21000, 128)


def test_a_call_that_failed_spoils_the_run() -> None:
    with pytest.raises(RuntimeError, match="7 failed"):
        answered(SAID.format(failed=7), seconds=3, in_flight=128)
