"""The plugin as its users meet it: what it tells of the hardware, and what it leaves alone."""

import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from support.fake_allocation import FakeAllocation
from support.fake_refusals import paused_for
from support.lab_in_thread import LabInThread
from support.plugin_run import PLAIN, all_released, run

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.usefixtures("alone")


def test_collecting_allocates_nothing(pytester: pytest.Pytester, threaded: LabInThread) -> None:
    source = "@pytest.mark.hardware()\ndef test_it(hardware): pass\n"
    run(pytester, threaded, source, "--collect-only").assert_outcomes()
    assert not threaded.lab.allocate_calls


def test_the_wait_is_shown_line_by_line_even_though_pytest_captures(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    def in_steps(allocation: FakeAllocation) -> None:
        allocation.queue(2, "refb is in use")
        threaded.later(0.6, lambda: allocation.queue(1, "refb is in use"))
        threaded.later(0.7, allocation.ready)

    threaded.lab.on_submit = in_steps
    for flags in ((), ("-s",)):
        result = run(pytester, threaded, "@pytest.mark.hardware()\n" + PLAIN, *flags)
        result.assert_outcomes(passed=1)
        result.stdout.fnmatch_lines(
            [
                "hardware for test_it.py::test_it: queued at place 1: refb is*",
                "*ready after*",
            ]
        )


def test_junit_files_tell_which_hardware_a_test_had(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    run(pytester, threaded, "@pytest.mark.hardware()\n" + PLAIN, "--junitxml=x.xml")
    tree = ElementTree.parse(pytester.path / "x.xml")  # noqa: S314  # just written
    said = {each.get("name"): each.get("value") for each in tree.iter("property")}
    assert said["hw_allocation"] == "a-1"
    assert said["hw_resources"] == "host=res-1"
    assert float(said["hw_wait_s"] or -1) >= 0


def test_a_pause_is_told_while_the_test_runs_and_the_test_goes_on(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    def go_away(allocation: FakeAllocation) -> None:
        allocation.ready()
        threaded.lab.next_beat_s = 0.1
        threaded.later(0.3, lambda: setattr(threaded.lab, "refuse_beat", paused_for(0.2)))

    threaded.lab.on_submit = go_away
    source = """
@pytest.mark.hardware(lease_ttl=1)
def test_it(hardware):
    time.sleep(2.5)
    hardware.check()
"""
    result = run(pytester, threaded, source)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["hardware for test_it.py::test_it: *leases are paused*"])


def test_workers_of_xdist_report_to_the_one_closing_section(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    source = "@pytest.mark.hardware()\n@pytest.mark.parametrize('n', range(4))\n"
    result = run(pytester, threaded, source + "def test_it(hardware, n): pass\n", "-n2")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["*= hardware used =*", "4 allocations, waited *"])
    commands = [a.request.requestor.command for a in threaded.lab.allocations.values()]
    assert all("-n2" in command and "test_it[" in command for command in commands)
    assert all_released(threaded)


def test_loading_the_plugin_imports_neither_grpc_nor_the_rest_of_the_sdk() -> None:
    code = (
        "import json, sys, hwprovisioner.client.pytest_plugin as p;"
        "ours = ('hwp', 'grpc', 'google');"
        "print(json.dumps(sorted(m for m in sys.modules if m.startswith(ours))))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert json.loads(out) == [
        "hwprovisioner",
        "hwprovisioner.client",
        "hwprovisioner.client.pytest_plugin",
    ]
