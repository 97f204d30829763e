"""Drivers of which each breaks one promise, as a module for the conformance suite to load."""

#: First a maker that keeps every promise: its instances are files in a folder.
DRIVERS = '''
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
