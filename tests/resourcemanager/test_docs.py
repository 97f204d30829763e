"""What the pages of the resource manager show is so."""

import re
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import ConfigError, parse_config
from hwprovisioner.resourcemanager.loading import known_drivers
from support import needs

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "docs" / "resources.md",
    # What the guide for authors shows is a driver of its own: conformance/test_guide.py.
    *sorted(set((ROOT / "docs" / "drivers").glob("*.md")) - {ROOT / "docs/drivers/writing.md"}),
    ROOT / "resourcemanager" / "README.md",
]

#: Drivers whose module is not in the lock; see docs/dependencies.md.
NOT_LOCKED = ("libvirt",)


def blocks(page: Path) -> list[str]:
    yaml = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    return yaml + re.findall(r"<<'END'\n(.*?)END\n", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_example_is_a_good_file(page: Path) -> None:
    if page.stem in NOT_LOCKED:
        needs.module(page.stem)
    found = blocks(page)
    assert found
    for block in found:
        assert parse_config(block).resources


def test_each_driver_of_ours_has_a_page() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "drivers").glob("*.md")}
    ours = {
        name
        for name, point in known_drivers().items()
        if point.value.startswith("hwprovisioner.resourcemanager.")
    }
    assert pages >= ours


def test_the_problem_that_is_shown_is_told_so() -> None:
    page = (ROOT / "docs" / "resources.md").read_text()
    shown = re.findall(r"```\n(resources\.yml:.*?)\n```", page, re.DOTALL)[0]
    entry = shown.splitlines()[1].strip()
    text = f"resources:\n  static:\n    refb:\n      driver: ssh\n      cpu: 8\n      {entry}\n"
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert str(caught.value) == shown
