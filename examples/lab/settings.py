"""The lab's resources.yml with this machine's addresses, keys and files in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from .parts import Fill

SOURCE = Path(__file__).with_name("resources.yml")


def write(folder: Path, fills: Mapping[str, Fill]) -> dict[str, dict[str, Any]]:
    """Writes `resources.yml` into a folder, with the parts that can be had.

    Returns:
        Their entries by the part's name; the resource's own name stands in each as `name`.
    """
    # Without guessing types: text is what is written, as the manager reads it.
    described = yaml.load(SOURCE.read_text(), yaml.BaseLoader)["resources"]  # noqa: S506
    entries: dict[str, dict[str, Any]] = {}
    sections: dict[str, dict[str, Any]] = {}
    for section, group in described.items():
        for part, entry in group.items():
            if part in fills:
                fills[part](entry)
                # Another demo may use the same Docker engine, which tells them apart by the name.
                name = f"{part}-{folder.name}"
                sections.setdefault(section, {})[name] = entry
                entries[part] = {"name": name, **entry}
    (folder / "resources.yml").write_text(json.dumps({"resources": sections}, indent=1))
    return entries
