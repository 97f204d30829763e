"""The suite finds what is wrong with a driver: each of these breaks one promise."""

from pathlib import Path

import pytest

from support.conformance import LIMIT_S, conforms, put_to_the_test, run_suite

pytestmark = pytest.mark.timeout(LIMIT_S)

#: A maker that keeps every promise: its instances are files in a folder.
GOOD = '''
import asyncio
import logging
import pathlib
import select
import subprocess
import threading
import time

from pydantic import BaseModel, SecretStr

from hwprovisioner.resourcemanager import Connection, Driver, DriverError, Facts, Kind
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Makes

HERE = pathlib.Path("instances")
STOOD = pathlib.Path("stood")


class Options(BaseModel, extra="forbid"):
    password: SecretStr = SecretStr("")
    works: bool = True


class Good(Maker):
    Options = Options
    default_kind = Kind.CONTAINER

    @property
    def makes(self):
        return Makes(images=("one",))

    def file(self, name):
        return HERE / f"{self.mark}{name}"

    @property
    def mark(self):
        return f"{self.resource.mark}@{self.resource.name}@"

    async def check(self):
        await asyncio.sleep(0)
        if not self.resource.options.works:
            raise DriverError("it is broken")

    async def make(self, instance, report):
        if not self.resource.options.works:
            raise DriverError("it is broken")
        if instance.image not in ("", "one"):
            raise DriverError(f"no image {instance.image}")
        report("making")
        await asyncio.sleep(0)
        HERE.mkdir(exist_ok=True)
        self.file(instance.name).touch()
        await asyncio.sleep(0)

    async def hand_over(self, instance, hold, report):
        await asyncio.sleep(0)
        return Connection("file", instance.name)

    async def destroy(self, name, report):
        await asyncio.sleep(0)
        self.file(name).unlink(missing_ok=True)
        await asyncio.sleep(0)

    async def existing(self):
        await asyncio.sleep(0)
        return [file.name[len(self.mark):] for file in HERE.glob(self.mark + "*")]

    async def dial(self, hold, connection, port):
        raise DriverError("a file has no ports")


class SecondOne(Good):
    """Makes another one when it is called again."""

    async def make(self, instance, report):
        await super().make(instance, report)
        first, second = self.file(instance.name), self.file(instance.name + ".second")
        (second if self.again else first).touch()
        self.again = True

    again = False

    async def hand_over(self, instance, hold, report):
        return Connection("file", instance.name + (".second" if self.again else ""))


class Leaves(Good):
    """Destroys nothing that it did not make itself."""

    async def make(self, instance, report):
        self.made = {*self.made, instance.name}
        await super().make(instance, report)

    made = frozenset()

    async def destroy(self, name, report):
        if name in self.made:
            await super().destroy(name, report)


class FailsOnNothing(Good):
    """Cannot clean what never was."""

    async def destroy(self, name, report):
        try:
            self.file(name).unlink()
        except OSError as error:
            raise DriverError("there is nothing to clean") from error


class GoesOn(Good):
    """Takes a cancellation for an error that it can do without."""

    async def make(self, instance, report):
        try:
            await super().make(instance, report)
        except asyncio.CancelledError:
            report("never mind")


class LeavesTask(Good):
    """Leaves a task behind when it is cancelled."""

    async def make(self, instance, report):
        waiting = asyncio.create_task(asyncio.sleep(1000))
        await super().make(instance, report)
        waiting.cancel()


class MakesLater(Good):
    """Has a thread make it, and does not wait for that when it is cancelled."""

    threads = {}

    async def make(self, instance, report):
        await super().make(instance, report)
        self.file(instance.name).unlink()
        # One that was cancelled earlier may still wait for it.
        may_go_on = self.threads.setdefault(instance.name, threading.Event())

        def work():
            may_go_on.wait()
            self.file(instance.name).touch()

        thread = asyncio.get_running_loop().run_in_executor(None, work)
        await asyncio.sleep(0)
        may_go_on.set()
        await thread

    async def destroy(self, name, report):
        await super().destroy(name, report)
        if name in self.threads:
            self.threads.pop(name).set()


class Sleeps(Good):
    """Blocks the event loop."""

    async def check(self):
        await super().check()
        time.sleep(0.001)


class StandsStill(Good):
    """Blocks the event loop, by what nobody could notice but the loop."""

    async def check(self):
        await super().check()
        if not STOOD.exists():
            STOOD.touch()
            select.select([], [], [], 6)


class Waits(Good):
    """Waits for a program in the event loop."""

    async def check(self):
        await super().check()
        subprocess.run(["true"], check=True)


class RaisesAnything(Good):
    """Raises what is no DriverError."""

    async def check(self):
        if not self.resource.options.works:
            raise KeyError("works")


class Tells(Good):
    """Logs its password."""

    async def check(self):
        await super().check()
        password = self.resource.options.password.get_secret_value()
        logging.getLogger("driver").debug("logging in with %s", password)


class Shows(Good):
    """Gives its password to a program, for everybody to see."""

    async def check(self):
        await super().check()
        password = self.resource.options.password.get_secret_value()
        await (await asyncio.create_subprocess_exec("true", password)).wait()


class Nonsense(Good):
    """Describes itself in a language of its own."""

    async def describe(self):
        return {"cpus": 4}


class Everybodys(Good):
    """Takes the instances of all resources for its own."""

    async def existing(self):
        return [file.name.rpartition("@")[2] for file in HERE.glob("*")]


class Namesakes(Good):
    """Takes the instances of all resources of its name for its own."""

    @property
    def mark(self):
        return f"{self.resource.name}@"
'''
FILE = """
resources:
  dynamic:
    box: {{driver: "drv:{name}", limits: {{cpu: 2, instances: 2}}, options: {{password: hunter-2}}}}
    sick: {{driver: "drv:{name}", limits: {{instances: 1}}, options: {{works: false}}}}
"""


def test_a_good_driver_passes_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "drv.py").write_text(GOOD)
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
    (tmp_path / "drv.py").write_text(GOOD)
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
