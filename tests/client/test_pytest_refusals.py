"""The plugin as its users meet it: what becomes of a test that gets no hardware."""

import pytest

from support.fake_refusals import Code, Refusal
from support.lab_in_thread import LabInThread
from support.plugin_run import HEAD, run

pytest_plugins = ("pytester",)
pytestmark = pytest.mark.usefixtures("alone")


UNSATISFIABLE = Refusal(
    Code.FAILED_PRECONDITION, "nothing has 512 cpus: refb has 8", "UNSATISFIABLE"
)
ONE = "@pytest.mark.hardware(cpus=512)\ndef test_it(hardware): pass\n"


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
