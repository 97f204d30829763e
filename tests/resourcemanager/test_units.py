import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.resourcemanager.units import MOST_BYTES, parse_size, parse_span


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GiB", 8 * 1024**3),
        ("512Mi", 512 * 1024**2),
        ("8G", 8_000_000_000),
        ("8GB", 8_000_000_000),
        ("8gib", 8 * 1024**3),
        ("1.5 Ti", 3 * 1024**4 // 2),
        ("4096", 4096),
        ("10B", 10),
        ("0.1K", 100),
    ],
)
def test_an_amount_of_memory_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "GiB", "8Gib ram", "-1G", "8 i", "1e9", "8P", "٣G", "9" * 19 + "T"]
)
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|more than"):
        parse_size(text)


def in_largest_unit(size_bytes: int) -> str:
    for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if size_bytes and size_bytes % 1024**power == 0:
            return f"{size_bytes // 1024**power}{unit}"
    return str(size_bytes)


@given(st.integers(0, MOST_BYTES))
def test_a_size_in_its_largest_unit_is_read_back(size: int) -> None:
    assert parse_size(in_largest_unit(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("500ms", 0.5), ("30", 30)]
)
def test_a_span_is_read(text: str, seconds: float) -> None:
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1d", "25h", "0", "nan", "inf", "1e3"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"span|between"):
        parse_span(text)
