"""Hardware for tests: allocated when a test needs it, given back when its scope ends."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

import pytest

from hwprovisioner.client import request as requests
from hwprovisioner.client.blocking import Lab
from hwprovisioner.client.blocking_hardware import Allocating, Hardware
from hwprovisioner.client.errors import (
    LabError,
    LabUnavailable,
    LeaseLost,
    OverQuota,
    Unsatisfiable,
    WaitTimeout,
)
from hwprovisioner.client.pytesting.markers import Wanted
from hwprovisioner.client.pytesting.options import Options
from hwprovisioner.client.pytesting.waiting import Display
from hwprovisioner.client.requestor import LONGEST, without_secrets
from hwprovisioner.v1.allocation_pb2 import Requestor

_MISSING = (Unsatisfiable, OverQuota, WaitTimeout, LabUnavailable)
"""What `--hw-missing=skip` is about; a demand that is wrong stays a failure."""

KNOWN_AWAY_LIMIT_S = 1.0
"""How long a test tries to reach a lab that an earlier test could not reach."""


@dataclass(frozen=True, slots=True)
class Lent:
    """Hardware that a scope has."""

    hardware: Hardware
    block: Allocating
    display: Display


class Lender:
    """Lends hardware to the tests of one process."""

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._config = config
        self._options = options
        self._lab = Lab(settings=options.settings)
        self._lent: dict[tuple[str, str], Lent] = {}
        self._of_test: dict[str, Hardware] = {}

    def lend(self, request: pytest.FixtureRequest, wanted: Wanted) -> Hardware:
        """Gives a test its hardware: what its scope already has, or new."""
        item: pytest.Item = request.node
        owner = _owner(item, wanted.scope)
        key = (owner.nodeid, wanted.key)
        if (hardware := self._usable(key)) is not None:
            waited_s = 0.0
        else:
            hardware = self._lend_new(key, item, wanted)
            waited_s = hardware.waited_s
            if owner is not item:
                owner.addfinalizer(lambda: self._give_back(key))
        self._of_test[item.nodeid] = hardware
        item.user_properties += [
            ("hw_allocation", hardware.allocation_id),
            ("hw_resources", " ".join(f"{name}={to}" for name, to in hardware.resources.items())),
            ("hw_wait_s", f"{waited_s:.3f}"),
        ]
        request.addfinalizer(lambda: self._end_of_test(item, hardware))
        if owner is item:
            request.addfinalizer(lambda: self._give_back(key))
        return hardware

    def _usable(self, key: tuple[str, str]) -> Hardware | None:
        """Finds what a scope already has; what has been lost since is put away."""
        lent = self._lent.get(key)
        if lent is None:
            return None
        if lent.hardware.lost is None:
            return lent.hardware
        self._give_back(key)
        return None

    def _lend_new(self, key: tuple[str, str], item: pytest.Item, wanted: Wanted) -> Hardware:
        """Allocates; a test whose hardware cannot be had ends here, in one line."""
        try:
            self._lent[key] = lent = self._allocate(item, wanted)
            return lent.hardware
        except LabError as error:
            failure = error
        if isinstance(failure, LabUnavailable):
            self._expect_little()
        if self._options.skip_missing and isinstance(failure, _MISSING):
            pytest.skip(f"hardware: {failure}")
        pytest.fail(f"hardware: {failure}", pytrace=False)

    def lost_during(self, item: pytest.Item) -> str:
        """Says why the hardware of a test must not be used any more; nothing if it may be."""
        hardware = self._of_test.get(item.nodeid)
        if hardware is None:
            return ""
        try:
            hardware.check()
        except LeaseLost as lost:
            # A test that gives its hardware back by itself has lost nothing.
            return "" if lost.reason == "RELEASED" else f"hardware: {lost}"
        return ""

    def close(self) -> None:
        """Gives back everything that is left."""
        for key in list(self._lent):
            self._give_back(key)
        self._lab.close()

    def _allocate(self, item: pytest.Item, wanted: Wanted) -> Lent:
        options = self._options
        display = Display(self._config, item.nodeid)
        asked = {"wait": options.wait, "lease_ttl": options.ttl, "priority": options.priority}
        try:
            block = self._lab.allocate(
                demands=wanted.demands,
                requestor=self._requestor(item),
                ssh_key=options.ssh_key,
                on_update=display.show,
                on_notice=display.notice,
                **(asked | dict(wanted.options)),
            )
            return Lent(block.__enter__(), block, display)
        except BaseException:
            display.end()
            raise
        finally:
            display.close()

    def _expect_little(self) -> None:
        """The lab is away: the tests that follow do not each wait in full to find that out."""
        limit_s = min(KNOWN_AWAY_LIMIT_S, self._options.settings.contact_limit_s)
        settings = replace(self._options.settings, contact_limit_s=limit_s)
        self._options = replace(self._options, settings=settings)
        self._lab = Lab(settings=settings)

    def _end_of_test(self, item: pytest.Item, hardware: Hardware) -> None:
        item.user_properties.append(("hw_heartbeats", hardware.beats))
        self._of_test.pop(item.nodeid, None)

    def _give_back(self, key: tuple[str, str]) -> None:
        lent = self._lent.pop(key, None)
        if lent is None:
            return
        why = ""
        try:
            lent.block.__exit__(None, None, None)
        except LeaseLost as lost:
            why = f"hardware: {lost}"
        finally:
            lent.display.end()
        if why:
            pytest.fail(why, pytrace=False)

    def _requestor(self, item: pytest.Item) -> Requestor:
        """This process, and which test: whoever looks at the lab sees what holds a machine."""
        asking = Requestor()
        asking.CopyFrom(requests.this_process())
        if worker := getattr(self._config, "workerinput", None):
            asking.command = shlex.join(without_secrets(worker.get("mainargv", ["pytest"])))
        test = f" [{item.nodeid}]"[:LONGEST]
        asking.command = asking.command[: LONGEST - len(test)] + test
        return asking


def _owner(item: pytest.Item, scope: str) -> pytest.Item | pytest.Collector:
    """Finds what the hardware is kept for; a function without a class has its module instead."""
    if scope == "function":
        return item
    if scope == "class" and (found := item.getparent(pytest.Class)):
        return found
    if scope in ("class", "module") and (module := item.getparent(pytest.Module)):
        return module
    return item.session
