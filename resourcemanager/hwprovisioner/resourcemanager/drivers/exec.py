"""Driver `exec`: a script of the lab does the work. JSON goes in, JSON comes out.

The protocol is described in docs/drivers/exec.md.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field, ValidationError

from hwprovisioner.resourcemanager.driver import Channel, Driver, Report
from hwprovisioner.resourcemanager.drivers import _script
from hwprovisioner.resourcemanager.drivers._command import Command
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import (
    Connection,
    Facts,
    Gpu,
    Hold,
    OperatingSystem,
    Power,
    TimeLimits,
)
from hwprovisioner.resourcemanager.schema import MOST_GPUS, Section, Span, Text
from hwprovisioner.resourcemanager.units import MOST_BYTES
from hwprovisioner.resourcemanager.verify import in_words
from hwprovisioner.serving.problems import quote, show_path


class ExecOptions(Section):
    """What stands under `options`."""

    #: Program and arguments, as a list or as one line; no shell is involved. An entry without one
    #: is represented, so that the lab knows of it, and is not well until the file names it.
    command: Command | None = None
    #: How long each call may take, unless `time_limits` says otherwise.
    timeout: Span | None = None
    #: What the script can do beyond readying up and cleaning. It is asked for nothing else.
    supports: list[Literal["power", "console", "repair"]] = Field(default_factory=list)
    #: Handed to the script as they are.
    parameters: dict[str, Text] = Field(default_factory=dict)


class _GpuAnswer(BaseModel, extra="forbid"):
    brand: str = ""
    model: str = ""
    memory_bytes: int = Field(default=0, ge=0, le=MOST_BYTES)


class _OsAnswer(BaseModel, extra="forbid"):
    family: str = ""
    distro: str = ""
    version: str = ""
    kernel: str = ""


class _ConnectionAnswer(BaseModel, extra="forbid"):
    protocol: str
    address: str = ""
    port: int = Field(default=0, ge=0, le=65_535)
    user: str = ""
    key_file: str = ""
    properties: dict[str, str] = Field(default_factory=dict)


class _ConsoleAnswer(BaseModel, extra="forbid"):
    address: str = Field(min_length=1)
    port: int = Field(ge=1, le=65_535)


class _Answer(BaseModel, extra="forbid"):
    """What a script may answer; which of it counts depends on the action."""

    error: str = ""
    connection: _ConnectionAnswer | None = None
    console: _ConsoleAnswer | None = None
    healthy: bool = True
    reason: str = ""
    cpus: int | None = Field(default=None, ge=0, le=1_000_000)
    memory_bytes: int | None = Field(default=None, ge=0, le=MOST_BYTES)
    gpus: list[_GpuAnswer] | None = Field(default=None, max_length=MOST_GPUS)
    os: _OsAnswer | None = None


class ExecDriver(Driver):
    """Runs the script once for each action."""

    Options: ClassVar[type[BaseModel]] = ExecOptions

    def time_limits(self) -> TimeLimits:
        """Return the limits of the file; where it is silent, the option `timeout`."""
        limits, timeout = self.resource.time_limits, self._options.timeout
        return TimeLimits(
            limits.ready_up_s or timeout,
            limits.tear_down_s or timeout,
            limits.clean_s or timeout,
            limits.check_s or timeout,
        )

    @property
    def has_power(self) -> bool:
        """Whether the script can switch power."""
        return "power" in self._options.supports

    @property
    def has_console(self) -> bool:
        """Whether the script knows a console."""
        return "console" in self._options.supports

    @property
    def has_repair(self) -> bool:
        """Whether the script can repair."""
        return "repair" in self._options.supports

    async def describe(self) -> Facts:
        """Ask the script what the resource is."""
        answer = await self._ask("describe")
        return Facts(
            answer.cpus,
            answer.memory_bytes,
            None if answer.gpus is None else tuple(Gpu(**dict(gpu)) for gpu in answer.gpus),
            None if answer.os is None else OperatingSystem(**dict(answer.os)),
        )

    async def check(self) -> None:
        """Ask the script whether the resource is well."""
        answer = await self._ask("check")
        if not answer.healthy:
            raise DriverError(answer.reason or "the script says that it is not healthy")

    async def prepare(self, hold: Hold, report: Report) -> Connection:
        """Have the script ready it up and say how it is reached."""
        answer = await self._ask("prepare", hold, report)
        if answer.connection is None:
            raise DriverError(f"{self._name} answered without a `connection`")
        return Connection(**dict(answer.connection))

    async def tear_down(self, hold: Hold, report: Report) -> None:
        """Have the script take it down."""
        await self._ask("tear_down", hold, report)

    async def clean(self, hold: Hold, report: Report) -> None:
        """Have the script clean it."""
        await self._ask("clean", hold, report)

    async def repair(self, trouble: str, report: Report) -> None:
        """Have the script try to bring it back."""
        if not self.has_repair:
            return await super().repair(trouble, report)
        await self._ask("repair", report=report, trouble=trouble)
        return None

    async def power(self, action: Power, hold: Hold | None, report: Report) -> None:
        """Have the script switch its power."""
        if not self.has_power:
            return await super().power(action, hold, report)
        await self._ask("power", hold, report, power=action.value)
        return None

    async def console(self, hold: Hold) -> Channel:
        """Connect to where the script says that the console is."""
        if not self.has_console:
            return await super().console(hold)
        console = (await self._ask("console", hold)).console
        if console is None:
            raise DriverError(f"{self._name} answered without a `console`")
        try:
            return await self.dial(hold, Connection("", console.address), console.port)
        except DriverError as error:
            raise DriverError(f"the console at {error}") from error

    @property
    def _options(self) -> ExecOptions:
        assert isinstance(self.resource.options, ExecOptions)
        return self.resource.options

    @property
    def _command(self) -> list[str]:
        if self._options.command is None:
            raise DriverError("options.command is not set: say which script does the work")
        return self._options.command

    @property
    def _name(self) -> str:
        return self._command[0]

    async def _ask(
        self,
        action: str,
        hold: Hold | None = None,
        report: Report = lambda line: None,
        **more: str,
    ) -> _Answer:
        question = json.dumps({**self._question(action, hold), **more}).encode()
        out = await _script.run(self._command, question, report)
        answer = _parse(self._name, out)
        if answer.error:
            raise DriverError(answer.error)
        return answer

    def _question(self, action: str, hold: Hold | None) -> Mapping[str, object]:
        resource = self.resource
        question: dict[str, object] = {
            "action": action,
            "resource": {
                "name": resource.name,
                "mark": resource.mark,
                "kind": resource.kind.value,
                "labels": dict(resource.labels),
                "access": None if resource.access is None else dataclasses.asdict(resource.access),
            },
            "parameters": self._options.parameters,
        }
        if hold is not None:
            whole: dict[str, Any] = dataclasses.asdict(hold)
            question["share"] = whole.pop("share")
            question["demand"] = whole.pop("demand")
            del whole["pooled"]  # a script makes what it lends when it is asked to prepare it
            question["hold"] = whole
        return question


def _parse(name: str, out: bytes) -> _Answer:
    """Return a script's answer; nothing at all is an empty one."""
    text = out.decode(errors="replace").strip()
    if not text:
        return _Answer()
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        # What was meant to be an answer may have secrets in it.
        if text[0] in '{["':
            raise DriverError(f"{name} did not answer with whole JSON: {error}") from None
        raise DriverError(f"{name} did not answer with JSON, but with: {text[:200]!r}") from None
    if not isinstance(data, dict):
        raise DriverError(f"{name} should answer with a JSON object, not with {quote(data)}")
    try:
        return _Answer.model_validate(data)
    except ValidationError as error:
        faults = "; ".join(
            f"{show_path(fault['loc'])}: {in_words(fault, _Answer)}"
            # What it answered may be secret.
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise DriverError(f"{name} answered with what cannot be used: {faults[:500]}") from None
