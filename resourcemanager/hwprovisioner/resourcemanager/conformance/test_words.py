"""What a driver says: of its resource, of trouble, and not of secrets."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from hwprovisioner.resourcemanager.conformance.bench import Bench, on_bench
from hwprovisioner.resourcemanager.conformance.secrets import secrets_of
from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Facts, Makes, Power, TimeLimits

#: As the lab takes them: `Makes` of the contract.
_MOST_IMAGES, _MOST_SYSTEMS, _MOST_PARAMETERS = 256, 64, 64
#: Nothing listens there.
_PORT = 1
_DIAL_LIMIT_S = 5.0
_SOMETHING = r"\S"


@on_bench
async def test_it_is_well_and_describes_itself(bench: Bench) -> None:
    await bench.check()
    facts = await bench.within("check_s", bench.driver.describe())
    assert isinstance(facts, Facts), f"describe returned {facts!r}"
    assert facts.cpus is None or facts.cpus >= 1
    assert facts.memory_bytes is None or facts.memory_bytes >= 1


@on_bench
async def test_what_it_says_without_being_awaited_is_of_the_right_form(bench: Bench) -> None:
    driver = bench.driver
    assert isinstance(driver.time_limits(), TimeLimits)
    assert isinstance(driver.has_power, bool)
    assert isinstance(driver.has_console, bool)
    makes = driver.makes
    if makes is not None:
        assert isinstance(makes, Makes)
        assert len(makes.images) <= _MOST_IMAGES
        assert len(makes.systems) <= _MOST_SYSTEMS
        assert len(makes.parameters) <= _MOST_PARAMETERS


@on_bench
async def test_power_is_switched_where_it_has_it(bench: Bench) -> None:
    driver, hold = bench.driver, bench.hold()
    await bench.prepare(hold)
    if not driver.has_power:
        with pytest.raises(DriverError):
            await driver.power(Power.CYCLE, hold, bench.lines.append)
        return
    for action in (Power.OFF, Power.OFF, Power.ON, Power.ON, Power.CYCLE):
        await bench.within("ready_up_s", driver.power(action, hold, bench.lines.append))
    await bench.prepare(hold)


@on_bench
async def test_a_console_is_opened_where_it_has_it(bench: Bench) -> None:
    driver, hold = bench.driver, bench.hold()
    await bench.prepare(hold)
    if not driver.has_console:
        with pytest.raises(DriverError):
            await driver.console(hold)
        return
    _, writer = await bench.within("check_s", driver.console(hold))
    writer.write(b"\n")
    await writer.drain()
    writer.close()


@on_bench
async def test_a_port_on_which_nothing_listens_is_an_error_in_words(bench: Bench) -> None:
    hold = bench.hold()
    connection = await bench.prepare(hold)
    # A network that drops packets lets whoever dials wait; that is for the caller to end.
    with pytest.raises((DriverError, TimeoutError)):
        async with asyncio.timeout(_DIAL_LIMIT_S):
            await bench.driver.dial(hold, connection, _PORT)


@on_bench
async def test_a_repair_is_tried_where_it_knows_one(bench: Bench) -> None:
    repair = bench.driver.repair("nothing; this is a test", bench.lines.append)
    if not bench.driver.has_repair:
        with pytest.raises(DriverError, match=_SOMETHING):
            await repair
        return
    # Of a resource that is well, it may also say that there is nothing to repair.
    with contextlib.suppress(DriverError):
        await bench.within("ready_up_s", repair)


@on_bench
async def test_what_cannot_work_says_so_in_words(bench: Bench) -> None:
    driver = _broken(bench)
    with pytest.raises(DriverError, match=_SOMETHING):
        await bench.within("check_s", driver.check())
    with pytest.raises(DriverError, match=_SOMETHING):
        await bench.within("ready_up_s", driver.prepare(bench.hold(), bench.lines.append))


@on_bench
async def test_secrets_appear_in_no_log_no_line_no_error_and_no_command_line(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    resources = [one for one in (bench.subject.resource, bench.subject.broken) if one is not None]
    secrets = {*bench.subject.secrets, *(word for one in resources for word in secrets_of(one))}
    if not secrets:
        pytest.skip("the entry has no secrets: no SecretStr, no password, none given by --secret")
    caplog.set_level(logging.DEBUG)
    said = [] if bench.subject.broken is None else [await _complaint(_broken(bench), bench)]
    hold = bench.hold()
    await bench.check()
    await bench.driver.describe()
    await bench.prepare(hold)
    await bench.give_back(hold)
    said += [*caplog.messages, *bench.lines, *bench.watch.programs]
    for secret in secrets:
        told = [line.replace(secret, "***") for line in said if secret in line]
        if told:  # an assert would show it
            pytest.fail(f"a secret is told in: {told[0]}", pytrace=False)


def _broken(bench: Bench) -> Driver:
    if bench.subject.broken is None:
        pytest.skip("no entry that cannot work was named by --broken")
    return bench.subject.driver(bench.subject.broken)


async def _complaint(driver: Driver, bench: Bench) -> str:
    try:
        await driver.prepare(bench.hold(), bench.lines.append)
    except DriverError as error:
        return str(error)
    return ""
