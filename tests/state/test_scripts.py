"""The Lua files: what their headers say is what they do and how they are called."""

import re
from pathlib import Path

import pytest

from hwprovisioner.state.scripts import names, script
from support.lua_header import Header, header_of, source

TOP = Path(__file__).parents[2]
INCLUDES = sorted(
    path.stem for path in (TOP / "state/hwprovisioner/state/lua/include").glob("*.lua")
)
COMMON_REPLIES = {
    "outdated": {"SUPERSEDED", "FORGOTTEN"},
    "refusal": {"SUPERSEDED", "FORGOTTEN", "NO_SUCH_HOLD", "STALE_FENCE"},
    "stale_holds": {"STALE_HOLDS"},
    "stale_place": {"STALE"},
    "known_request": {"KNOWN"},
}
"""What functions of includes answer for the script that calls them."""


def body_of(name: str) -> str:
    """Return a script without its header and comments."""
    lines = source(f"{name}.lua").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def expanded_body_of(name: str) -> str:
    return re.sub(r"^ *--.*\n", "", script(name).text, flags=re.MULTILINE)


def used(kind: str, text: str) -> set[int]:
    return {int(number) for number in re.findall(rf"\b{kind}\[(\d+)\]", text)}


def python_sources() -> str:
    folders = ("state", "heartbeat", "allocate")
    return "\n".join(
        path.read_text(encoding="utf-8")
        for folder in folders
        for path in (TOP / folder).rglob("*.py")
    )


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("kind", ["KEYS", "ARGV"])
def test_a_header_numbers_its_parameters_without_a_gap(name: str, kind: str) -> None:
    header = header_of(name)
    parameters = header.keys if kind == "KEYS" else header.args
    last = [] if parameters.rest_from is None else [parameters.rest_from]
    numbers = [*parameters.numbers, *last]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", names())
def test_a_body_uses_the_keys_and_arguments_of_its_header_and_no_others(name: str) -> None:
    header = header_of(name)
    body = expanded_body_of(name)
    assert used("KEYS", body) == set(header.keys.numbers)
    # Every script is given the time, whether it needs it or not.
    assert used("ARGV", body) | {1} == set(header.args.numbers)


@pytest.mark.parametrize("name", [name for name in names() if header_of(name).args.rest_from])
def test_repeated_arguments_are_read_from_where_the_header_says(name: str) -> None:
    rest_from = header_of(name).args.rest_from
    body = body_of(name)
    starts = re.findall(r"unpack\(ARGV, (\d+)", body) + re.findall(r"for i = (\d+), #ARGV do", body)
    # Where their place is computed, the calls of other tests show it.
    assert all(int(start) == rest_from for start in starts)


@pytest.mark.parametrize("name", [name for name in names() if header_of(name).keys.rest_from])
def test_repeated_keys_are_read_from_where_the_header_says(name: str) -> None:
    rest_from = str(header_of(name).keys.rest_from)
    calls = re.findall(r"(end_allocation|send_back)\(ARGV\[\d+\], ([^)\n]*)", body_of(name))
    for function, arguments in calls:
        words = [word.strip() for word in arguments.split(",")]
        assert words[2 if function == "end_allocation" else 1] == rest_from


def replies_of(name: str) -> set[str]:
    body = body_of(name)
    found = set(re.findall(r"\{'([A-Z_]+)'[,}]", body)) | set(
        re.findall(r"commit\('([A-Z_]+)'", body)
    )
    for function, words in COMMON_REPLIES.items():
        if f"{function}(" in body:
            found |= words
    return found


@pytest.mark.parametrize("name", names())
def test_a_header_lists_exactly_the_replies_of_its_body(name: str) -> None:
    assert replies_of(name) == header_of(name).replies


@pytest.mark.parametrize("name", names())
def test_a_header_says_what_the_script_does_before_anything_else(name: str) -> None:
    text = header_of(name).text
    assert re.match(r"-- [A-Z][^\n]+", text)
    assert text.index("KEYS[1]") < text.index("ARGV[1]") < text.index("Returns")
    assert 'ARGV[1]  now, ms since the epoch; "" reads the server\'s clock' in text


@pytest.mark.parametrize("name", names())
def test_a_script_has_a_caller(name: str) -> None:
    assert re.search(rf'(?:change|run|script)\(\s*"{name}"', python_sources())


@pytest.mark.parametrize("name", names())
def test_what_a_script_includes_is_put_in_once(name: str) -> None:
    text = script(name).text
    assert "--@include" not in text
    functions = re.findall(r"^local function (\w+)", text, re.MULTILINE)
    assert len(functions) == len(set(functions))
    assert text.count("local TABLES =") <= 1


@pytest.mark.parametrize("include", INCLUDES)
def test_an_include_is_included_and_says_what_it_is(include: str) -> None:
    assert source(f"include/{include}.lua").startswith("-- ")
    files = [f"{name}.lua" for name in names()] + [f"include/{name}.lua" for name in INCLUDES]
    assert any(f"--@include {include}\n" in source(path) for path in files)


@pytest.mark.parametrize("path", [*names(), *(f"include/{name}" for name in INCLUDES)])
def test_a_file_fits_on_a_screen(path: str) -> None:
    lines = source(f"{path}.lua").splitlines()
    assert len([line for line in lines if not line.startswith("--")]) < 60
    assert max(map(len, lines)) <= 130


@pytest.mark.parametrize("name", names())
def test_no_script_searches_keys_or_makes_them_up(name: str) -> None:
    text = script(name).text
    assert "hwp:" not in text
    assert not re.search(r"'(KEYS|SCAN|RANDOMKEY)'", text)


def test_headers_are_found() -> None:
    header = header_of("end")
    assert isinstance(header, Header)
    assert len(header.keys.numbers) == 8
    assert header.keys.rest_from == 9
    assert header.replies == {"ENDED", "BEFORE", "EARLY", "UNKNOWN", "STALE_HOLDS"}
