"""The plugin as its users meet it: a marked test gets its hardware, and gives it back."""

import os
import signal
import subprocess
import sys
import time

import pytest

from support.fake_allocation import FakeAllocation, grant
from support.lab_in_thread import LabInThread
from support.plugin_run import HEAD, PLAIN, all_released, run

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.usefixtures("alone")


def test_a_marked_test_gets_its_hosts_and_they_are_given_back(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    result = run(
        pytester,
        threaded,
        """
@pytest.mark.hardware(db={"cpus": 8}, edge={"labels": ["jetson"]})
def test_it(hardware):
    assert hardware["db"].run("echo hi").stdout == "hi\\n"
    assert hardware["edge"].resource == "res-2"
""",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["*= hardware used =*", "test_it.py::test_it  db=res-1 edge=res-2  waited * a-1"]
    )
    asked = threaded.lab.only.request
    assert asked.demands.hosts["edge"].labels == ["jetson"]
    assert asked.requestor.command.endswith("[test_it.py::test_it]")
    assert all_released(threaded)


def test_the_nearest_marker_wins_for_each_host_and_key(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    result = run(
        pytester,
        threaded,
        """
pytestmark = pytest.mark.hardware(cpus=2, memory="1GiB", wait="5m")

@pytest.mark.hardware(labels=["fast"])
class TestIt:
    @pytest.mark.hardware(cpus=8)
    def test_it(self, hardware):
        pass
""",
        "--hw-wait=1m",
        "--hw-ttl=9s",
        "--hw-priority=3",
    )
    result.assert_outcomes(passed=1)
    asked = threaded.lab.only.request
    host = asked.demands.hosts["host"]
    assert (host.cpus, host.memory, list(host.labels)) == ("8", "1GiB", ["fast"])
    assert (asked.wait_timeout.seconds, asked.lease_ttl.seconds, asked.priority) == (300, 9, 3)


def test_a_set_with_copies_and_relations_is_had_as_it_is_marked(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    result = run(
        pytester,
        threaded,
        """
@pytest.mark.hardware(cpus=8, count=2, not_resources=["refb"], where="resource.cpus > 8",
                      any_of=[{"gpus": "h100"}, {}], different="rack")
def test_it(hardware):
    assert [host.name for host in hardware.copies("host")] == ["host-1", "host-2"]
""",
    )
    result.assert_outcomes(passed=1)
    demands = threaded.lab.only.request.demands
    host = demands.hosts["host"]
    assert (host.count, list(host.not_resources), host.where) == (2, ["refb"], "resource.cpus > 8")
    assert host.any_of[0].gpus[0].model == "h100"
    assert demands.relations[0].label == "rack"


@pytest.mark.parametrize(
    "body", ["assert False", "raise KeyboardInterrupt", "pytest.exit('enough')", "raise SystemExit"]
)
def test_whatever_the_test_did_the_hardware_is_given_back(
    pytester: pytest.Pytester, threaded: LabInThread, body: str
) -> None:
    source = f"@pytest.mark.hardware(cpus=1)\ndef test_it(hardware):\n    {body}\n"
    assert run(pytester, threaded, source, "-x").ret != 0
    assert all_released(threaded)


def test_a_test_that_takes_too_long_gives_its_hardware_back(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    source = "@pytest.mark.hardware()\ndef test_it(hardware):\n    time.sleep(60)\n"
    run(pytester, threaded, source, "--timeout=1").assert_outcomes(failed=1)
    assert all_released(threaded)


def test_a_fixture_that_breaks_after_hardware_does_not_keep_it(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    source = """
@pytest.fixture
def broken(hardware):
    raise ZeroDivisionError

@pytest.mark.hardware(cpus=1)
def test_it(broken):
    pass
"""
    run(pytester, threaded, source).assert_outcomes(errors=1)
    assert all_released(threaded)


def test_one_allocation_serves_a_class_a_module_or_the_run(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    source = """
@pytest.mark.hardware(cpus=1, scope="class")
class TestA:
    def test_1(self, hardware): assert hardware.allocation_id == "a-1"
    def test_2(self, hardware): assert hardware.allocation_id == "a-1"

@pytest.mark.hardware(cpus=2, scope="module")
def test_3(hardware): assert hardware.allocation_id == "a-2"

@pytest.mark.hardware(cpus=3, scope="session")
def test_4(hardware): assert hardware.allocation_id == "a-3"

@pytest.mark.hardware(cpus=2, scope="module")
def test_5(hardware): assert hardware.allocation_id == "a-2"

@pytest.mark.hardware(cpus=1)
def test_6(hardware): assert hardware.allocation_id == "a-4"
"""
    run(pytester, threaded, source).assert_outcomes(passed=6)
    assert len(threaded.lab.allocations) == 4
    assert all_released(threaded)


def test_hardware_lost_during_a_test_fails_it_with_the_reason(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    def grant_then_take(allocation: FakeAllocation) -> None:
        grant(allocation)
        threaded.later(0.2, lambda: allocation.end("PREEMPTED", "a bigger fish"))

    threaded.lab.on_submit = grant_then_take
    result = run(
        pytester,
        threaded,
        """
@pytest.mark.hardware()
def test_passes(hardware):
    while not hardware.lost:
        time.sleep(0.01)

@pytest.mark.hardware()
def test_fails(hardware):
    while not hardware.lost:
        time.sleep(0.01)
    assert 0
""",
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["hardware: allocation a-1 is lost (PREEMPTED): a bigger fish*", "*assert 0*"]
    )


def test_ctrl_c_while_waiting_gives_the_place_up(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    threaded.lab.on_submit = lambda allocation: None
    pytester.makepyfile(test_it=HEAD + "@pytest.mark.hardware()\n" + PLAIN)
    environ = {**os.environ, "ALLOCATE_API": threaded.lab.target}
    environ["HEARTBEAT_API"] = threaded.lab.target
    child = subprocess.Popen(
        [sys.executable, "-m", "pytest"], cwd=pytester.path, env=environ, stdout=subprocess.PIPE
    )
    while not (threaded.lab.allocations and threaded.lab.only.beats):
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=30)
    assert b"KeyboardInterrupt" in out
    assert all_released(threaded)
