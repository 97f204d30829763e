"""The pytest plugin: `@pytest.mark.hardware(...)` and the fixture `hardware`.

Loaded in every test run of every environment that has the SDK, so it imports nothing but pytest
until a test asks for hardware. What it does then is in `pytesting/`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hwprovisioner.client.blocking_hardware import Hardware
    from hwprovisioner.client.pytesting.lender import Lender
    from hwprovisioner.client.pytesting.markers import Wanted

MARKER = "hardware"
_WANTED: pytest.StashKey[Wanted] = pytest.StashKey()
_LENDER: pytest.StashKey[Lender] = pytest.StashKey()

_OPTIONS = (
    ("allocate", "ADDRESS", "the lab's Allocate service [env ALLOCATE_API, 127.0.0.1:8080]"),
    ("heartbeat", "ADDRESS", "the lab's Heartbeat service [env HEARTBEAT_API, 127.0.0.1:7080]"),
    ("wait", "DURATION", "how long each test may wait for its hardware, such as 10m [for ever]"),
    ("ttl", "DURATION", "how long hardware stays allocated after a kill -9 of this run [30s]"),
    ("priority", "NUMBER", "-100 to 100; higher goes first [0]"),
    ("ssh-key", "FILE.pub", "the key that hosts let tests in with [a new one each time]"),
    ("missing", "fail|skip", "what becomes of a test whose hardware cannot be had [fail]"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--hw-...` and the settings of the same names for ini files."""
    group = parser.getgroup("hardware", "hardware from a lab")
    for name, metavar, text in _OPTIONS:
        choices = ("fail", "skip") if name == "missing" else None
        flag, dest = f"--hw-{name}", f"hw_{name.replace('-', '_')}"
        group.addoption(flag, dest=dest, metavar=metavar, choices=choices, help=text)
        parser.addini(dest, f"as {flag}", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known, and listens for what hardware was used."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(cpus=, memory=, gpus=, os=, labels=, kind=, resource=, not_resources=, where=,"
        f" provisioning=, count=, any_of=) or {MARKER}(db={{...}}, edge={{...}}): the hosts that"
        " the fixture `hardware` gets from the lab; also same=, different=, wait=, priority=,"
        " lease_ttl=, max_duration=, scope='function'|'class'|'module'|'session'",
    )
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Summary(), "hwprovisioner-summary")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Reads every marker, so that a typo is found before the first test runs."""
    marked = [item for item in items if item.get_closest_marker(MARKER)]
    if not marked:
        return
    from hwprovisioner.client.pytesting.markers import BadMarker, read

    for item in marked:
        try:
            item.stash[_WANTED] = read(list(item.iter_markers(MARKER)))
        except BadMarker as error:
            raise pytest.UsageError(f"{item.nodeid}: {error}") from None


@pytest.fixture
def hardware(request: pytest.FixtureRequest) -> Hardware:
    """The hosts that `@pytest.mark.hardware(...)` demands, allocated for this test.

    Waits for them. They are given back whatever the test does; if they are lost while it runs, it
    fails, even if it would have passed.
    """
    config, item = request.config, request.node
    if (wanted := item.stash.get(_WANTED, None)) is None:
        pytest.fail(
            f"{item.nodeid} uses the fixture `hardware` and does not say which: add"
            " @pytest.mark.hardware(cpus=4), or hardware(db={...}, edge={...})",
            pytrace=False,
        )
    if (lender := config.stash.get(_LENDER, None)) is None:
        from hwprovisioner.client.pytesting.lender import Lender
        from hwprovisioner.client.pytesting.options import read_options

        lender = config.stash[_LENDER] = Lender(config, read_options(config))
    return lender.lend(request, wanted)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fails a test whose hardware was lost while it ran."""
    lender = item.config.stash.get(_LENDER, None)
    try:
        result = yield
    except BaseException:
        if lender and (why := lender.lost_during(item)):
            item.add_report_section("call", "hardware", why)
        raise
    if lender and (why := lender.lost_during(item)):
        pytest.fail(why, pytrace=False)
    return result


def pytest_unconfigure(config: pytest.Config) -> None:
    """Gives back what is left, whatever became of the run."""
    if lender := config.stash.get(_LENDER, None):
        lender.close()


class _Summary:
    """Collects what tests report about their hardware, also from the workers of xdist."""

    def __init__(self) -> None:
        self._used: list[tuple[str, dict[str, str]]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Takes the properties of a test that had hardware."""
        properties = {name: str(said) for name, said in report.user_properties}
        if report.when == "teardown" and "hw_allocation" in properties:
            self._used.append((report.nodeid, properties))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Lists it at the end."""
        if self._used:
            from hwprovisioner.client.pytesting.used import lines

            terminalreporter.section("hardware used")
            for line in lines(self._used):
                terminalreporter.write_line(line)
