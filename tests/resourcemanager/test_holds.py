import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.resourcemanager import Connection, Hold
from hwprovisioner.resourcemanager.holds import (
    TRANSITIONS,
    Event,
    Held,
    Ignore,
    Phase,
    Repeat,
    Take,
    TurnDown,
    WrongPhase,
    answer_offer,
)
from hwprovisioner.resourcemanager.model import Share
from hwprovisioner.resourcemanager.room import Room


def hold(hold_id: str = "h", fence: int = 5) -> Hold:
    return Hold(hold_id, "box", fence)


def test_the_table_names_every_phase() -> None:
    assert set(TRANSITIONS) == set(Phase)


@pytest.mark.parametrize(("phase", "event"), list(itertools.product(Phase, Event)))
def test_an_event_that_is_not_in_the_table_changes_nothing_and_is_named(
    phase: Phase, event: Event
) -> None:
    held = Held(hold(), phase)
    change = {
        Event.PREPARED: lambda: held.prepared(Connection("local")),
        Event.FAILED: lambda: held.failed("why"),
        Event.RELEASED: lambda: held.released(6),
        Event.CLEANED: held.cleaned,
        Event.GIVEN_UP: lambda: held.given_up("why"),
        Event.LOOKED_AFTER: held.looked_after,
    }[event]
    if event in TRANSITIONS[phase]:
        assert change().phase is TRANSITIONS[phase][event]
    else:
        with pytest.raises(WrongPhase, match=f"{event} cannot happen when {phase}"):
            change()


def test_a_release_raises_the_fence_and_never_lowers_it() -> None:
    assert Held(hold(fence=5)).released(7).hold.fence == 7
    assert Held(hold(fence=5)).released(3).hold.fence == 5


def test_a_first_offer_is_taken() -> None:
    assert answer_offer(hold(), None, [], 4, exclusive=True) == Take()


@pytest.mark.parametrize("fence", [4, 5])
def test_an_offer_with_a_fence_that_was_seen_is_declined(fence: int) -> None:
    answer = answer_offer(hold(fence=fence), None, [], 5, exclusive=True)
    assert isinstance(answer, TurnDown)
    assert "stale fence" in answer.reason


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.READY, Phase.FAILED, Phase.CLEANING])
def test_an_exclusive_resource_that_is_held_is_declined(phase: Phase) -> None:
    other = Held(hold("other", 3), phase)
    assert isinstance(answer_offer(hold(), None, [other], 3, exclusive=True), TurnDown)
    assert answer_offer(hold(), None, [other], 3, exclusive=False) == Take()


def test_a_cleaned_hold_is_in_nobodys_way() -> None:
    other = Held(hold("other", 3), Phase.CLEANED)
    assert answer_offer(hold(), None, [other], 3, exclusive=True) == Take()


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.READY, Phase.FAILED])
def test_a_repeated_offer_gets_the_same_answer(phase: Phase) -> None:
    assert answer_offer(hold(), Held(hold(), phase), [], 5, exclusive=True) == Repeat()


@pytest.mark.parametrize("phase", [Phase.CLEANING, Phase.CLEANED])
def test_an_old_offer_of_a_hold_that_has_ended_is_ignored(phase: Phase) -> None:
    assert answer_offer(hold(), Held(hold(), phase), [], 5, exclusive=True) == Ignore()


@pytest.mark.parametrize("phase", Phase)
def test_an_offer_of_a_known_hold_for_another_allocation_is_declined(phase: Phase) -> None:
    """The lab has lost that it gave the id away."""
    known = Held(replace(hold(), allocation_id="theirs"), phase)
    offer = replace(hold(), allocation_id="another")
    assert isinstance(answer_offer(offer, known, [known], 5, exclusive=True), TurnDown)


@pytest.mark.parametrize(
    ("share", "fits"),
    [
        (Share(cpus=2, memory_bytes=1, gpus=(1,)), True),
        (Share(cpus=3), False),
        (Share(memory_bytes=2), False),
        (Share(gpus=(1, 0)), False),
    ],
)
def test_a_divisible_resource_takes_no_more_than_fits_beside_what_is_not_clean(
    share: Share, fits: bool
) -> None:
    others = [
        Held(replace(hold("other", 3), share=Share(2, 1, (0,))), Phase.CLEANING),
        Held(replace(hold("gone", 2), share=Share(4, 2, (1,))), Phase.CLEANED),
    ]
    offer, room = replace(hold(), share=share), Room(2, cpus=4, memory_bytes=2)
    answer = answer_offer(offer, None, others, 3, exclusive=False, room=room)
    assert isinstance(answer, Take) is fits
    full = answer_offer(offer, None, others, 3, exclusive=False, room=Room(1))
    assert isinstance(full, TurnDown)
    assert full.retry_s


@given(
    offers=st.lists(st.integers(1, 20), min_size=1),
    exclusive=st.booleans(),
)
def test_of_any_offers_of_an_exclusive_resource_at_most_one_is_taken(
    offers: list[int], exclusive: bool
) -> None:
    taken: list[Held] = []
    highest = 0
    for at, fence in enumerate(offers):
        offered = hold(f"h{at}", fence)
        if isinstance(answer_offer(offered, None, taken, highest, exclusive=exclusive), Take):
            assert fence > highest
            taken.append(Held(offered))
            highest = fence
    assert len(taken) <= 1 or not exclusive
