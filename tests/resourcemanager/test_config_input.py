"""resources.yml: whatever its bytes are, it is read or its problems are told."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.resourcemanager import ConfigError, OperatingSystem, parse_config, read_config
from support.lab_file import load, problems


def read_or_refused(text: str) -> bool:
    """Read a text, and say whether what is wrong, if anything, was told as problems."""
    try:
        parse_config(text, load=load)
    except ConfigError as error:
        return bool(error.problems)
    return True


def test_aliases_of_aliases_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwprovisioner.serving.located.MOST_NODES", 10_000)
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    assert "larger than 10,000 values" in problems("\n".join(lines))[0]


def test_deep_nesting_is_stopped() -> None:
    assert "nested too deeply" in problems("resources: " + "[" * 500 + "]" * 500)[0]
    # The C composer of PyYAML crashes the process here.
    assert problems("resources: " + "[" * 100_000)
    assert problems("- " * 100_000)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"resources: \xff\n", "1:12: is not UTF-8: byte 0xff"),
        (b"a: 1\nb: \xe4\n", "2:4: is not UTF-8: byte 0xe4"),
    ],
)
def test_a_file_that_is_not_utf_8_is_explained(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "lab.yml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=f"lab.yml:{said}"):
        read_config(file)


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "lab.yml"
    file.write_bytes(b"\xef\xbb\xbfresources: {}\n")
    assert read_config(file).resources == {}


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yml: cannot be read: No such file"):
        read_config(tmp_path / "nowhere.yml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_config(tmp_path)


text = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff\u2028\u2029\x85"),
    min_size=1,
    max_size=30,
)


@given(
    version=text,
    labels=st.dictionaries(
        st.from_regex(r"[A-Za-z0-9._/-]{1,9}", fullmatch=True), text, max_size=5
    ),
    cpus=st.integers(1, 1_000_000),
)
def test_what_yaml_writes_is_read_back(version: str, labels: dict[str, str], cpus: int) -> None:
    labels = {f"a{name}z": value for name, value in labels.items()}
    entry = {"driver": "fake", "kind": "edge", "cpu": cpus, "os": {"version": version}}
    data = {"resources": {"static": {"box": entry | {"labels": labels}}}}
    resource = parse_config(yaml.safe_dump(data, allow_unicode=True), load=load).resources["box"]
    assert resource.declared.os == OperatingSystem(version=version)
    assert resource.labels == labels
    assert resource.declared.cpus == cpus


@given(st.text(max_size=200))
def test_no_text_at_all_is_more_than_a_problem(anything: str) -> None:
    assert read_or_refused(anything)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "resources",
                        "static",
                        "dynamic",
                        "box",
                        "driver",
                        "gpus",
                        "os",
                        "options",
                        "limits",
                    ]
                )
                | st.text(max_size=5),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_data_at_all_is_more_than_a_problem(anything: object) -> None:
    assert read_or_refused(yaml.safe_dump({"resources": anything}, allow_unicode=True))
