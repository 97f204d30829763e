"""The plugin as its users meet it: whole runs of pytest in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest

from hwprovisioner.client.pytesting.markers import BadMarker, read
from support.fake_lab import Code, FakeAllocation, LabInThread, Refusal, grant

pytest_plugins = ("pytester",)

HEAD = "import pytest, time\n"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs inside know nothing of this one, and no valkey plugin either."""
    for name in ("ALLOCATE_API", "HEARTBEAT_API", "PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:valkey -p no:cacheprovider")


def run(
    pytester: pytest.Pytester, lab: LabInThread, source: str, *options: str
) -> pytest.RunResult:
    pytester.makepyfile(test_it=HEAD + source)
    target = lab.lab.target
    flags = [f"--hw-allocate={target}", f"--hw-heartbeat={target}"]
    return pytester.runpytest_subprocess(*flags, *options, timeout=50)


def all_released(lab: LabInThread) -> bool:
    found = lab.lab.allocations.values()
    return bool(found) and all(allocation.released.is_set() for allocation in found)


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


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("hardware(cpu=4)", "*unknown key 'cpu', did you mean 'cpus'? (known: *memory*scope*"),
        ("hardware(db={'cpsu': 4})", "*unknown demand key 'cpsu', did you mean 'cpus'?*"),
        ("hardware('db')", "*give demands by name*"),
        ("hardware(scope='galaxy')", "*write one of function, class, module, session*"),
        ("hardware(wait='soon')", "*no span of time*"),
        ("hardware(db={'count': 0})", "*db.count: 0 is no count of hosts; write 1 to 64*"),
        ("hardware(db={}, same={'rack': ['web']})", "*there is no host 'web'*"),
        ("hardware(db={}, different={'cpus': 4})", "*call no host 'different'*"),
    ],
)
def test_a_typo_in_a_marker_is_a_usage_error_before_anything_runs(
    pytester: pytest.Pytester, threaded: LabInThread, marker: str, said: str
) -> None:
    source = f"def test_a(): pass\n@pytest.mark.{marker}\ndef test_it(hardware): pass\n"
    result = run(pytester, threaded, source)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: test_it.py::test_it: {said}"])
    assert not threaded.lab.allocations


def test_the_fixture_without_a_marker_says_what_to_add(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    result = run(pytester, threaded, "def test_it(hardware): pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*add @pytest.mark.hardware(cpus=4)*"])


def test_collecting_allocates_nothing(pytester: pytest.Pytester, threaded: LabInThread) -> None:
    source = "@pytest.mark.hardware()\ndef test_it(hardware): pass\n"
    run(pytester, threaded, source, "--collect-only").assert_outcomes()
    assert not threaded.lab.allocate_calls


UNSATISFIABLE = Refusal(
    Code.FAILED_PRECONDITION, "nothing has 512 cpus: refb has 8", "UNSATISFIABLE"
)
ONE = "@pytest.mark.hardware(cpus=512)\ndef test_it(hardware): pass\n"


def test_hardware_that_cannot_be_had_fails_in_one_line(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    threaded.lab.refuse_allocate = UNSATISFIABLE
    result = run(pytester, threaded, ONE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["hardware: nothing has 512 cpus: refb has 8"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*lender.py*")
    result.stdout.no_fnmatch_line("*another exception*")
    assert result.stdout.str().count("nothing has 512") == 2, "once above, once in the summary"


@pytest.mark.parametrize("reason", ["UNSATISFIABLE", "QUOTA_NEVER"])
def test_hardware_that_cannot_be_had_may_skip_instead(
    pytester: pytest.Pytester, threaded: LabInThread, reason: str
) -> None:
    threaded.lab.refuse_allocate = Refusal(Code.FAILED_PRECONDITION, "never", reason)
    run(pytester, threaded, ONE, "--hw-missing=skip").assert_outcomes(skipped=1)
    pytester.makeini("[pytest]\nhw_missing = skip\n")
    run(pytester, threaded, ONE).assert_outcomes(skipped=1)


def test_a_wait_that_is_over_fails_in_one_line(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    threaded.lab.on_submit = lambda a: a.end("WAIT_TIMEOUT", "refb was in use")
    result = run(pytester, threaded, ONE, "--hw-wait=1s")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["hardware: allocation a-1 was not granted in time: refb was*"])


def test_a_lab_that_is_away_is_found_out_once_not_in_full_by_every_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWP_CONTACT_LIMIT_S", "1.5")
    source = "@pytest.mark.hardware()\n@pytest.mark.parametrize('n', range(3))\n"
    pytester.makepyfile(test_it=HEAD + source + "def test_it(hardware, n): pass\n")
    flags = ["--hw-allocate=127.0.0.1:9", "--hw-heartbeat=127.0.0.1:9"]
    result = pytester.runpytest_subprocess(*flags, timeout=50)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["hardware: no lab answers at 127.0.0.1:9 *"])


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


def test_the_wait_is_shown_line_by_line_even_though_pytest_captures(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    def in_steps(allocation: FakeAllocation) -> None:
        allocation.queue(2, "refb is in use")
        threaded.later(0.8, lambda: allocation.queue(1, "refb is in use"))
        threaded.later(1.6, allocation.ready)

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


PLAIN = "def test_it(hardware): pass\n"


def test_junit_files_tell_which_hardware_a_test_had(
    pytester: pytest.Pytester, threaded: LabInThread
) -> None:
    run(pytester, threaded, "@pytest.mark.hardware()\n" + PLAIN, "--junitxml=x.xml")
    tree = ElementTree.parse(pytester.path / "x.xml")  # noqa: S314  # just written
    said = {each.get("name"): each.get("value") for each in tree.iter("property")}
    assert said["hw_allocation"] == "a-1"
    assert said["hw_resources"] == "host=res-1"
    assert float(said["hw_wait_s"] or -1) >= 0


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


def test_equal_wants_share_and_different_ones_do_not() -> None:
    one = read([Mark(db={"cpus": 1, "memory": "1G"})])
    same = read([Mark(db={"memory": "1G", "cpus": 1})])
    other = read([Mark(db={"cpus": 1, "memory": "1G"}, priority=1)])
    assert one.key == same.key != other.key
    with pytest.raises(BadMarker):
        read([Mark(4)])


def test_relations_are_put_together_each_as_a_whole() -> None:
    hosts: dict[str, object] = {"db": {"count": 2}, "edge": {}}
    nearer = Mark(**hosts, same={"switch": "db"})
    found = read([nearer, Mark(same="switch", different="rack", wait="5m")])
    assert found.demands == {**hosts, "same": {"switch": "db"}, "different": "rack"}
    assert found.options == {"wait": "5m"}
    assert found.key != read([Mark(**hosts)]).key
    assert read([Mark(different="rack")]).demands == {"host": {}, "different": "rack"}


class Mark:
    """What pytest makes of a marker."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.args = args
        self.kwargs = kwargs
