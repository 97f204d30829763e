"""What a resources file may say of steps: commands on a machine, reboots, programs beside it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from hwprovisioner.resourcemanager.drivers._command import Command as Program
from hwprovisioner.resourcemanager.schema import Section, Span

#: What `reboot: true` runs; it is not for every user to do.
REBOOT = 'if [ "$(id -u)" = 0 ]; then reboot; else sudo -n reboot; fi'
_KINDS: dict[str, dict[str, Any]] = {
    "run": {"type": "string"},
    "reboot": {"type": ["string", "boolean"]},
    "manager": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
}


class StepSection(Section):
    """One step, of one of three kinds."""

    #: A command for the machine's shell.
    run: Annotated[str, Field(min_length=1)] | None = None
    #: A command for the machine's shell that reboots it. Its return is waited for.
    reboot: Annotated[str, Field(min_length=1)] | None = None
    #: A program on the manager.
    manager: Program | None = None
    timeout: Span | None = None
    #: As with commands that are no steps.
    pty: bool = False

    @model_validator(mode="after")
    def _of_one_kind(self) -> StepSection:
        if sum(kind is not None for kind in (self.run, self.reboot, self.manager)) != 1:
            raise ValueError("should be a command, or have one of `run`, `reboot` and `manager`")
        if self.pty and self.run is None:
            raise ValueError("has `pty`, which means nothing without `run`")
        return self


def beginning_beside(steps: Sequence[StepSection]) -> Sequence[StepSection]:
    """Return the programs on the manager that steps begin with: no machine need answer for them."""
    return list(itertools.takewhile(lambda step: step.manager is not None, steps))


def _step(value: object) -> object:
    if isinstance(value, str):
        return {"run": value}
    if not isinstance(value, dict) or "reboot" not in value:
        return value
    match str(value["reboot"]).lower():
        case "true":
            return {**value, "reboot": REBOOT}
        case "false":
            raise ValueError("has `reboot: false`; leave it out, or write true or a command")
    return value


def _form(kind: str) -> dict[str, Any]:
    properties = {kind: _KINDS[kind], "timeout": {"type": "string"}}
    if kind == "run":
        properties["pty"] = {"type": "boolean"}
    return {
        "type": "object",
        "properties": properties,
        "required": [kind],
        "additionalProperties": False,
    }


Step = Annotated[
    StepSection,
    BeforeValidator(_step),
    WithJsonSchema({"oneOf": [{"type": "string"}, *map(_form, _KINDS)]}),
]
