"""The driver in the guide for authors of drivers."""

import re
from pathlib import Path

import pytest

from support.conformance import LIMIT_S, conforms

pytestmark = pytest.mark.timeout(LIMIT_S)

GUIDE = (Path(__file__).parents[3] / "docs" / "drivers" / "writing.md").read_text()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    assert found
    return found[1]


def test_it_is_complete_in_under_60_lines_and_keeps_every_promise(tmp_path: Path) -> None:
    driver = block("python folder_driver.py")
    assert len(driver.splitlines()) < 60
    (tmp_path / "folder_driver.py").write_text(driver)
    (tmp_path / "folders").mkdir()
    name = "folder_driver:FolderDriver"
    entry = block("yaml").replace("driver: folder", f'driver: "{name}"')
    nowhere = f'{{driver: "{name}", limits: {{instances: 1}}, options: {{path: no/such}}}}'
    entry += f"    nowhere: {nowhere}\n"
    conforms(tmp_path, name, entry, "--broken", "nowhere")
    assert not list((tmp_path / "folders").iterdir())
