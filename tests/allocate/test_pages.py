import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.pages import DEFAULT_SIZE, MAX_SIZE, page
from hwprovisioner.serving import Refused

KEYS = st.text(min_size=1, max_size=3)


def same(key: str) -> str:
    return key


def walked(keys: list[str], size: int) -> list[list[str]]:
    pages, token = [], ""
    while True:
        found, token = page(keys, same, size, token)
        pages.append(found)
        if not token:
            return pages


@given(st.sets(KEYS), st.integers(1, 5))
def test_all_pages_together_are_the_whole_list_in_order(keys: set[str], size: int) -> None:
    pages = walked(list(keys), size)
    assert [key for found in pages for key in found] == sorted(keys)
    assert all(len(found) == size for found in pages[:-1])
    assert bool(pages[-1]) == bool(keys)


@given(
    stays=st.sets(KEYS),
    comings=st.lists(st.sets(KEYS), min_size=1),
    size=st.integers(1, 4),
)
def test_what_is_there_all_the_time_is_shown_once_whatever_comes_and_goes(
    stays: set[str], comings: list[set[str]], size: int
) -> None:
    shown: list[str] = []
    token = ""
    for turn in range(1000):
        present = stays | comings[turn % len(comings)]
        found, token = page(present, same, size, token)
        shown += found
        if not token:
            break
    assert [key for key in shown if key in stays] == sorted(stays)
    assert len(set(shown)) == len(shown)


def test_a_size_of_zero_is_the_default_and_too_large_a_size_is_cut() -> None:
    keys = [f"{number:05}" for number in range(MAX_SIZE + 1)]
    assert len(page(keys, same, 0, "")[0]) == DEFAULT_SIZE
    assert len(page(keys, same, 10**9, "")[0]) == MAX_SIZE


@pytest.mark.parametrize("token", ["not a token!", "ö", "YQ", "gICA", "=" * 10_000])
def test_a_token_that_is_none_of_ours_is_refused(token: str) -> None:
    with pytest.raises(Refused) as refused:
        page(["a", "b"], same, 1, token)
    assert [field for field, _ in refused.value.violations] == ["page_token"]


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        page(["a"], same, -1, "")
    assert [field for field, _ in refused.value.violations] == ["page_size"]
