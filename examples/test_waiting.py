"""Waiting: two want the same machine; the second gets it when the first gives it back."""

# ruff: noqa: D103

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hwprovisioner.client import Hardware, Lab, Phase, Update


@pytest.mark.hardware(labels=["demo"])
def test_the_second_waits_until_the_first_releases(
    hardware: Hardware, record_property: Callable[[str, object], None]
) -> None:
    wanted = hardware.host.resource
    queued = threading.Event()
    news: list[Update] = []

    def listen(update: Update) -> None:
        news.append(update)
        if update.phase is Phase.QUEUED:
            print(f"second: {update.line}")
            queued.set()

    def second() -> str:
        asked = Lab().allocate(resource=wanted, wait="60s", lease_ttl="5s", on_update=listen)
        with asked as mine:
            print(f"second: has {mine.host.resource} after {mine.waited_s:.2f} s")
            said = mine.host.run("echo mine now").stdout
        record_property(f"second {mine.allocation_id}", mine.beats)
        return said

    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(second)
        assert queued.wait(30), "the second request was never queued"
        assert not waiting.done()
        print(f"first: gives {wanted} back")
        hardware.release()
        assert waiting.result(60) == "mine now\n"
    assert next(update for update in news if update.phase is Phase.QUEUED).place == 1
