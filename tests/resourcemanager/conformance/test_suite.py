"""The suite finds what is wrong with a driver: each of these breaks one promise."""

from pathlib import Path

import pytest

from support.conformance import LIMIT_S, conforms, put_to_the_test, run_suite
from support.promise_breakers import DRIVERS, FILE

pytestmark = pytest.mark.timeout(LIMIT_S)


def test_a_good_driver_passes_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "drv.py").write_text(DRIVERS)
    verdict = conforms(tmp_path, "drv:Good", FILE.format(name="Good"), "--broken", "sick")
    assert verdict.count("skipped") == 0, verdict.said
    assert not list((tmp_path / "instances").iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("SecondOne", "test_preparing_twice_makes_no_second_one"),
        ("Leaves", "after tear-down and cleaning there still are"),
        ("FailsOnNothing", "there is nothing to clean"),
        ("GoesOn", "it went on as if nothing had been"),
        ("LeavesTask", "its tasks go on"),
        ("MakesLater", "there still are"),
        ("Sleeps", "time.sleep in the event loop"),
        ("StandsStill", "the event loop stood still for 5 s"),
        ("Waits", "subprocess.Popen in the event loop"),
        ("RaisesAnything", "KeyError: 'works'"),
        ("Tells", "a secret is told in: logging in with ***"),
        ("Shows", "a secret is told in: true"),
        ("Nonsense", "describe returned {'cpus': 4}"),
        ("Everybodys", "test_another_resource_s_instances_are_not_counted_as_its_own"),
        ("Namesakes", "test_what_another_manager_makes_under_the_same_name_is_not_touched"),
    ],
)
def test_a_broken_promise_is_found(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "drv.py").write_text(DRIVERS)
    file = FILE.format(name=name)
    every_await = ("--cancellations", "100")
    verdict = put_to_the_test(tmp_path, f"drv:{name}", file, "--broken", "sick", *every_await)
    assert verdict.exit_code == 1, verdict.said
    assert words in verdict.said, verdict.said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "say which driver is to be tested: --driver NAME"),
        (("--driver", "lokal"), "no driver 'lokal'; did you mean 'local'?"),
        (("--driver", "no.module:Driver"), "--driver no.module:Driver cannot be imported"),
        (("--driver", "pathlib:Path"), "--driver pathlib:Path is no subclass of Driver"),
        (("--driver", "ssh"), "resources.static.conformance.access: is needed by driver ssh"),
        (("--driver", "local", "--resource", "x"), "say which entry with driver local"),
        (("--driver", "local", "--broken", "x"), "--broken x: there is no such entry"),
    ],
)
def test_what_cannot_be_tested_is_said_in_a_line(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    verdict = run_suite(tmp_path, *options)
    assert verdict.exit_code == 4, verdict.said
    assert words in verdict.said
    assert "Traceback" not in verdict.said
