"""What a replica may tell of a pause: nothing before it is certain, and nothing after."""

from hwprovisioner.heartbeat.standing import Pause, Standing

LIMIT = 150_000
CERTAIN = 4_000


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000.0

    def __call__(self) -> float:
        return self.ms


def standing() -> tuple[Standing, Clock]:
    """Signed on just now."""
    clock = Clock()
    found = Standing(LIMIT, clock)
    found.answered()
    found.accepted(clock.ms, 0)
    return found, clock


def test_who_was_never_accepted_knows_nothing() -> None:
    clock = Clock()
    found = Standing(LIMIT, clock)
    clock.ms += CERTAIN
    assert found.pause() is None
    found.answered()
    clock.ms += CERTAIN
    assert found.pause() is None


def test_it_is_certain_from_four_seconds_after_the_newest_answer() -> None:
    found, clock = standing()
    clock.ms += CERTAIN - 1
    assert found.pause() is None
    assert not found.has_told
    clock.ms += 1
    assert found.pause() == Pause(0, 148_500 - 2_000 - CERTAIN)
    clock.ms += 1_500
    assert found.pause() == Pause(1_500, 146_500 - CERTAIN - 1_500)
    assert found.has_told


def test_it_ends_a_little_before_the_limit() -> None:
    found, clock = standing()
    clock.ms += 146_499
    assert found.pause() == Pause(146_499 - CERTAIN, 1)
    clock.ms += 1
    assert found.pause() is None


def test_any_answer_ends_it_though_nothing_was_accepted() -> None:
    found, clock = standing()
    clock.ms += 10_000
    assert found.pause()
    found.answered()
    assert found.pause() is None
    clock.ms += CERTAIN
    assert found.pause() == Pause(0, 146_500 - 10_000 - CERTAIN)


def test_the_lab_knows_only_of_what_was_told_before_that_was_sent_which_it_accepts() -> None:
    found, clock = standing()
    clock.ms += 10_000
    found.pause()
    told = found.told
    found.pause()
    found.accepted(clock.ms, told)
    assert found.has_told
    found.accepted(clock.ms, found.told)
    assert not found.has_told
