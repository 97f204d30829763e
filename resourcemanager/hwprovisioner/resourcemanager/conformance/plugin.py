"""The options of the suite, and what they name."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from hwprovisioner.resourcemanager.config import Config, parse_config, read_config
from hwprovisioner.resourcemanager.conformance.subject import Subject
from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.errors import ConfigError, DriverNotUsable
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import Resource

_SUBJECT: pytest.StashKey[Subject] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds what says which driver is put to the test, and on what."""
    group = parser.getgroup("conformance", "conformance of drivers for resource managers")
    group.addoption("--driver", metavar="NAME", help="by entry point, or as module:Class")
    group.addoption(
        "--resources", metavar="FILE", help="a resources file [one entry with this driver alone]"
    )
    group.addoption(
        "--resource", metavar="NAME", help="the entry to test on [the only one with this driver]"
    )
    group.addoption(
        "--broken", metavar="NAME", help="an entry that can be neither checked nor readied up"
    )
    group.addoption(
        "--secret",
        metavar="TEXT",
        action="append",
        default=[],
        help="what must appear in no log, beside the options that are called passwords and such",
    )
    group.addoption(
        "--cancellations",
        metavar="NUMBER",
        type=int,
        default=4,
        help="at how many of its awaits each call is cancelled, one after the other [4]",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Reads the entry; what is wrong with it ends the run, with its words."""
    name = config.getoption("--driver")
    if not name:
        raise pytest.UsageError("say which driver is to be tested: --driver NAME")
    try:
        config.stash[_SUBJECT] = _subject(config, name)
    except (ConfigError, DriverNotUsable) as error:
        raise pytest.UsageError(str(error)) from None


@pytest.fixture(scope="session")
def subject(pytestconfig: pytest.Config) -> Subject:
    """What is put to the test."""
    return pytestconfig.stash[_SUBJECT]


def _subject(config: pytest.Config, name: str) -> Subject:
    load = _loader(name)
    driver = load(name)
    read = _config(config.getoption("--resources"), name, load)
    broken = config.getoption("--broken")
    ours = [one for one in read.resources.values() if one.driver == name and one.name != broken]
    return Subject(
        driver=driver,
        resource=_chosen(ours, config.getoption("--resource"), name),
        broken=_named(read, broken) if broken else None,
        secrets=tuple(config.getoption("--secret")),
        cancellations=config.getoption("--cancellations"),
    )


def _loader(name: str) -> Callable[[str], type[Driver]]:
    module, _, cls = name.partition(":")
    if not cls:
        return load_driver
    try:
        found = getattr(importlib.import_module(module), cls)
    except (ImportError, AttributeError) as error:
        raise pytest.UsageError(f"--driver {name} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise pytest.UsageError(f"--driver {name} is no subclass of Driver")
    return lambda word: found if word == name else load_driver(word)


def _config(file: str | None, driver: str, load: Callable[[str], type[Driver]]) -> Config:
    if file:
        return read_config(file, load)
    text = f'resources: {{static: {{conformance: {{driver: "{driver}"}}}}}}'
    return parse_config(text, "(--resources is not said; this is tried)", load)


def _chosen(ours: list[Resource], name: str | None, driver: str) -> Resource:
    found = [one for one in ours if name in (None, one.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.name for one in ours) or "none"
    raise pytest.UsageError(f"--resource: say which entry with driver {driver}; there are: {names}")


def _named(config: Config, name: str) -> Resource:
    if name not in config.resources:
        raise pytest.UsageError(f"--broken {name}: there is no such entry in the resources file")
    return config.resources[name]
