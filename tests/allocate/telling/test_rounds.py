"""Who is told of a new place when: the nearer to the front the sooner, and never all at once."""

import asyncio
from collections.abc import Callable

import pytest

from hwprovisioner.allocate.telling.rounds import LATEST_S, REST, SOONEST_S, Rounds


class Timer:
    """A timer that can be cancelled."""

    def __init__(self, at_s: float, callback: Callable[[], None]) -> None:
        self.at_s, self.callback = at_s, callback
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Loop:
    """An event loop in which time passes when the test says so, and work takes what it says."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.worked_s = 0.0
        self.each_s = 0.0
        """What each whom the rounds wake works."""
        self.timers: list[Timer] = []
        self.soon: list[Callable[[], None]] = []
        self.rounds = Rounds(lambda: self.now_s, lambda: self.worked_s)
        self.waiting: dict[int, asyncio.Event] = {}
        self.told: list[tuple[float, int]] = []
        """Since the start, and the place that was known before."""

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now_s + delay_s, callback))
        return self.timers[-1]

    def call_soon(self, callback: Callable[..., None], *args: object) -> None:
        self.soon.append(lambda: callback(*args))

    def join(self, place: int) -> None:
        event = self.waiting.setdefault(place, asyncio.Event())
        event.clear()
        self.rounds.join(event, place)

    def run(self, seconds: float) -> int:
        """Let time pass; returns how many were told at once at most."""
        end_s, most = self.now_s + seconds, 0
        while timers := [each for each in self.timers if not each.is_cancelled]:
            [timer] = timers
            if timer.at_s > end_s:
                break
            self.timers.clear()
            self.now_s = max(self.now_s, timer.at_s)
            timer.callback()
            most = max(most, self._wake())
        self.now_s = end_s
        return most

    def _wake(self) -> int:
        woken = [place for place, event in self.waiting.items() if event.is_set()]
        for place in woken:
            self.told.append((self.now_s - 1_000.0, place))
            self.worked_s += self.each_s
            self.join(place)
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()
        return len(woken)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
    return loop


def test_nobody_is_told_where_nothing_changes(loop: Loop) -> None:
    loop.join(1)
    assert loop.run(1_000) == 0
    loop.rounds.changed()
    loop.run(1_000)
    assert loop.told == [(1_000 + SOONEST_S, 1)]


def test_a_change_is_told_after_a_moment_in_which_more_may_change(loop: Loop) -> None:
    loop.join(1)
    loop.run(100)
    for _ in range(3):
        loop.rounds.changed()
        loop.run(SOONEST_S / 3 - 0.001)
    assert loop.told == []
    loop.run(1)
    assert loop.told == [(100 + SOONEST_S, 1)]


def test_the_nearer_to_the_front_the_sooner(loop: Loop) -> None:
    places = (1, 12, 100, 1_000, 100_000)
    for place in reversed(places):
        loop.join(place)
    loop.rounds.changed()
    loop.run(100)
    assert [place for _, place in loop.told] == [*places]
    moments = [moment_s for moment_s, _ in loop.told]
    assert moments == pytest.approx([SOONEST_S, 0.6, 5, 50, LATEST_S])


def test_a_sooner_one_does_not_wait_for_a_later_one(loop: Loop) -> None:
    loop.join(1_000)
    loop.rounds.changed()
    loop.run(1)
    loop.join(1)
    loop.rounds.changed()
    loop.run(1)
    assert loop.told == [(1 + SOONEST_S, 1)]


def test_whoever_has_yet_to_hear_of_a_change_waits_no_longer_for_asking_again(loop: Loop) -> None:
    loop.join(100)
    loop.rounds.changed()
    loop.run(4.9)
    loop.join(100)
    loop.run(0.2)
    assert loop.told == [(5, 100)]


def test_of_however_many_so_many_are_told_in_a_second_and_few_at_once(loop: Loop) -> None:
    for place in range(1, 1_001):
        loop.join(place)
    most = 0
    for _ in range(510):
        loop.rounds.changed()
        most = max(most, loop.run(0.1))
    assert most == 2
    assert len(loop.told) / 51 < 150
    assert {place for _, place in loop.told} == {*range(1, 1_001)}
    assert sum(place == 1 for _, place in loop.told) >= 51 / SOONEST_S / 2


def test_nobody_is_told_while_something_goes_on_unless_that_never_ends(loop: Loop) -> None:
    loop.join(1)
    loop.rounds.changed()
    loop.run(SOONEST_S - 0.005)
    loop.rounds.changed()
    loop.run(0.005 + 0.009)
    assert loop.told == []
    loop.run(0.002)
    assert len(loop.told) == 1
    for place in range(1, 6):
        loop.join(place)
    loop.told.clear()
    for _ in range(400):
        loop.rounds.changed()
        loop.run(0.005)
    assert len(loop.told) >= 5 * 5


def test_where_there_is_not_the_time_for_all_those_in_front_are_told_most_often(
    loop: Loop,
) -> None:
    for place in range(1, 1_001):
        loop.join(place)
    loop.each_s = 0.0008  # Half of those who may be told can be.
    for _ in range(2_400):
        loop.rounds.changed()
        loop.run(0.1)
    front = [moment_s for moment_s, place in loop.told if place == 3]
    assert len(front) >= 240 / (4 * SOONEST_S)
    assert {place for _, place in loop.told} == {*range(1, 1_001)}


def test_what_it_takes_is_followed_by_so_many_times_as_long_a_rest(loop: Loop) -> None:
    loop.each_s = 0.01
    for place in range(1, 101):
        loop.join(place)
    loop.rounds.changed()
    loop.run(10)
    loop.rounds.changed()
    at = [moment_s for moment_s, _ in loop.told]
    rests = [after - before for before, after in zip(at[::2], at[2::2], strict=False)]
    assert min(rests) == pytest.approx(REST * 0.02)
