"""Reads resources.yml.

All of its problems are found in one go, each with the place where it stands.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.entry import read_entry
from hwprovisioner.resourcemanager.errors import ConfigError
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import NAME, NAME_RULE, Resource
from hwprovisioner.resourcemanager.schema import FileSection
from hwprovisioner.resourcemanager.verify import verify
from hwprovisioner.serving.located import Data, Located, file_text, read_located
from hwprovisioner.serving.problems import Path, Problem, quote

#: Finds the class of a driver; raises DriverNotUsable.
LoadDriver = Callable[[str], type[Driver]]

#: A file of 10,000 resources has some 5 MB.
_MOST_BYTES = 64 * 1024 * 1024
#: As the contract says.
_MOST_RESOURCES = 10_000
_EXAMPLE = "it should begin with `resources:`, as in `resources: {static: {here: {driver: local}}}`"


@dataclass(frozen=True, slots=True)
class Config:
    """What a resources file says."""

    resources: Mapping[str, Resource]
    #: Empty if the file does not say.
    manager_id: str = ""


def read_config(file: str | os.PathLike[str], load: LoadDriver = load_driver) -> Config:
    """Read a resources file.

    Raises:
        ConfigError: It cannot be used; carries every problem found.
    """
    name = os.fspath(file)
    text = file_text(name, _MOST_BYTES)
    if isinstance(text, Problem):
        raise ConfigError(name, [text])
    return parse_config(text, name, load)


def parse_config(text: str, file: str = "resources.yml", load: LoadDriver = load_driver) -> Config:
    """Read the text of a resources file; `file` is its name in messages.

    Raises:
        ConfigError: It cannot be used; carries every problem found.
    """
    located = read_located(text)
    problems = located.problems
    if located.data is None:
        problems = problems or [Problem(1, 1, "", f"is empty; {_EXAMPLE}")]
        raise ConfigError(file, problems, text)
    if not isinstance(located.data, dict):
        message = f"should be a mapping, is {quote(located.data)}; {_EXAMPLE}"
        raise ConfigError(file, [Problem(1, 1, "", message)], text)
    manager_id = _manager_id(located, problems)
    resources = _resources(located, load, problems)
    if problems:
        raise ConfigError(file, problems, text)
    return Config(resources, manager_id)


def _manager_id(located: Located, problems: list[Problem]) -> str:
    """Check everything but the entries themselves, and return the id of the manager."""
    whole = verify(located, (), FileSection, _without_entries(located.data))
    if isinstance(whole, list):
        problems += whole
        return ""
    manager_id = whole.manager.id if whole.manager is not None else None
    if manager_id is not None and not NAME.fullmatch(manager_id):
        problems.append(located.problem(("manager", "id"), f"should be {NAME_RULE}"))
    return manager_id or ""


def _without_entries(data: Data) -> Data:
    """Return the data with its sections empty, so that the rest can be checked alone."""
    if not isinstance(data, dict) or not isinstance(resources := data.get("resources"), dict):
        if isinstance(data, dict) and "resources" in data and data["resources"] is None:
            return {**data, "resources": {}}
        return data
    emptied: dict[str, Data] = {
        name: {} if isinstance(section, dict) else section for name, section in resources.items()
    }
    return {**data, "resources": emptied}


def _resources(
    located: Located, load: LoadDriver, problems: list[Problem]
) -> Mapping[str, Resource]:
    resources: dict[str, Resource] = {}
    seen: dict[str, Path] = {}
    for path, data in _entries(located.data):
        name = str(path[-1])
        if name in seen:
            first = located.key_position(seen[name]).line
            message = f"is here twice; the first is in line {first}"
            problems.append(located.problem(path, message, at_key=True))
            continue
        seen[name] = path
        if not NAME.fullmatch(name):
            message = f"a resource's name should be {NAME_RULE}"
            problems.append(located.problem(path, message, at_key=True))
        entry = read_entry(located, path, data, load)
        if isinstance(entry, Resource):
            resources[name] = entry
        else:
            problems += entry
    if len(seen) > _MOST_RESOURCES:
        message = f"{len(seen):,} resources, a manager may have {_MOST_RESOURCES:,}"
        problems.append(located.problem(("resources",), message, at_key=True))
    return resources


def _entries(data: Data) -> Iterator[tuple[Path, Data]]:
    resources = data.get("resources") if isinstance(data, dict) else None
    for section in ("static", "dynamic"):
        entries = resources.get(section) if isinstance(resources, dict) else None
        if isinstance(entries, dict):
            for name, entry in entries.items():
                yield ("resources", section, name), entry
