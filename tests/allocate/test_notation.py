import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hwprovisioner.allocate.notation import (
    MAX_NUMBER,
    Bounds,
    NotationError,
    VersionBounds,
    amount,
    parse_memory,
    parse_number,
    parse_version,
)

NUMBERS = st.integers(0, MAX_NUMBER)
VERSIONS = st.lists(st.integers(0, 99), min_size=1, max_size=4).map(
    lambda parts: ".".join(map(str, parts))
)


def written(low: object, high: object) -> str:
    """A bound as a test may write it."""
    if low == high:
        return f"=={low}"
    if high is None:
        return f">={low}"
    return f"<={high}" if low is None else f"{low}..{high}"


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("8", 8, None),
        (">=8", 8, None),
        ("== 8", 8, 8),
        ("<=8", None, 8),
        ("4..8", 4, 8),
        (" 4 .. 8 ", 4, 8),
        ("0", 0, None),
        (str(MAX_NUMBER), MAX_NUMBER, None),
    ],
)
def test_numbers_are_minima_unless_written_otherwise(
    text: str, low: int | None, high: int | None
) -> None:
    assert parse_number(text) == Bounds(low, high)


@pytest.mark.parametrize(
    "text",
    [
        *("-1", "NaN", "inf", "1e3", "0x8", "8.5", "1_000", "eight", "8!", "\u0663", "8\n9", " "),
        *(">8", "<8", "=8", "!=8", "====8", "8==", ">=", "..", "4..", "..8", "4...8", "4..6..8"),
        *(">=4..8", "==4..8", "8..4", str(MAX_NUMBER + 1), "9" * 17, "8,16", "8 cpus"),
    ],
)
def test_what_is_no_bound_on_a_number_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(NotationError) as refused:
        parse_number(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("512", 512),
        ("512B", 512),
        ("1K", 1000),
        ("1KiB", 1024),
        ("1.5 GiB", 3 * 2**29),
        ("8g", 8 * 10**9),
        ("8gib", 8 * 2**30),
        ("2T", 2 * 10**12),
        ("0.5Ti", 2**39),
        ("9007199254740991", 2**53 - 1),
    ],
)
def test_memory_takes_units_of_1000_and_of_1024(text: str, number: int) -> None:
    assert parse_memory(text) == Bounds(number, None)
    assert parse_memory(f"=={text}") == Bounds(number, number)


@pytest.mark.parametrize(
    "text",
    ["8iB", "8X", "-8G", "GiB", "8GG", "8G..4G", "nan", "9007199254740993", "1000000T", "\u0668G"],
)
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(NotationError):
        parse_memory(text)


@given(low=NUMBERS | st.none(), high=NUMBERS | st.none(), number=NUMBERS)
def test_a_bound_that_is_written_and_read_again_admits_the_same(
    low: int | None, high: int | None, number: int
) -> None:
    assume(low is not None or high is not None)
    assume(low is None or high is None or low <= high)
    bounds = parse_number(written(low, high))
    assert bounds == Bounds(low, high) == parse_memory(written(low, high))
    assert bounds.admit(number) == (
        (low is None or low <= number) and (high is None or number <= high)
    )


@given(text=st.text(alphabet=string.printable + "…²", max_size=40))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    for parse in (parse_number, parse_memory, parse_version):
        try:
            bounds = parse(text)
        except NotationError:
            continue
        assert bounds.low is not None or bounds.high is not None


def test_bounds_say_what_they_ask() -> None:
    said = [
        str(Bounds(8)),
        str(Bounds(8, 8)),
        str(Bounds(None, 8)),
        str(Bounds(4, 8)),
        str(Bounds()),
    ]
    assert said == ["at least 8", "exactly 8", "at most 8", "4 to 8", "any"]


@pytest.mark.parametrize(
    ("bound", "version", "admitted"),
    [
        ("22.04", "22.04", True),
        ("22.04", "24.10", True),
        ("22.04", "20.10", False),
        (">=9", "10", True),
        ("9.9", "9.10", True),
        ("==22.04", "22.04.3", True),
        ("==22.04", "22.4", True),
        ("==22.04", "22.10", False),
        ("==22", "22.04", True),
        ("==22.04.3", "22.04", False),
        ("<=22.04", "22.04.5", True),
        ("<=22.04", "22.05", False),
        ("20.04..22.04", "22.04.1", True),
        ("20.04..22.04", "18.04", False),
        ("==11-rc1", "11-RC1", True),
        ("10", "", False),
    ],
)
def test_versions_compare_part_by_part_and_cover_their_point_releases(
    bound: str, version: str, admitted: bool
) -> None:
    assert parse_version(bound).admit(version) is admitted


@given(VERSIONS, VERSIONS)
def test_versions_compare_as_lists_of_their_numbers(one: str, two: str) -> None:
    parts_one, parts_two = ([int(part) for part in v.split(".")] for v in (one, two))
    assert parse_version(one).admit(two) == (parts_two >= parts_one)
    at_most = parts_two[: len(parts_one)] <= parts_one
    assert parse_version(f"<={one}").admit(two) == at_most


@given(VERSIONS, st.integers(0, 99))
def test_a_point_release_is_within_the_exact_version(version: str, point: int) -> None:
    exact = parse_version(f"=={version}")
    assert exact.admit(version)
    assert exact.admit(f"{version}.{point}")


@pytest.mark.parametrize(
    "text", ["22..20", "22.04..20.04", "", "1 2!", ".22", "22.", "v" * 65, "a/b"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(NotationError):
        parse_version(text)


def test_no_bound_admits_what_has_no_version() -> None:
    assert VersionBounds().admit("")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0 B"),
        (1000, "1 KB"),
        (1536, "1.5 KiB"),
        (8 * 1024**3, "8 GiB"),
        (8_000_000_000, "8 GB"),
        (25_276_502_016, "23.54 GiB"),
        (2 * 1024**4, "2 TiB"),
    ],
)
def test_an_amount_is_said_exactly_or_rounded_down(number: int, said: str) -> None:
    assert amount(number) == said
