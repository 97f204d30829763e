"""The command `hwp-resourcemanager`."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from hwprovisioner.resourcemanager.errors import (
    ConfigError,
    JournalError,
    ManagerError,
    Superseded,
)
from hwprovisioner.resourcemanager.settings import Settings
from hwprovisioner.serving import run_service

NAME = "hwp-resourcemanager"
SUMMARY = (
    "Represents the resources of resources.yml to a lab. "
    "Other commands: `validate FILE` checks such a file, "
    "`schema` prints its JSON Schema for editors."
)

#: Exit statuses beside 0 and 1 (sysexits: EX_CONFIG), so that supervisors need not read the log.
WRONG_CONFIG = 78
SUPERSEDED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    match words[:1]:
        case ["validate"]:
            return _validate(words[1:])
        case ["schema"]:
            return _schema(words[1:])
        case ["run"]:
            return _run(words[1:])
        case _:
            return _run(words)


def _run(words: Sequence[str]) -> int:
    failures: list[ManagerError] = []

    async def manager(settings: Settings, stopping: asyncio.Event) -> None:
        from hwprovisioner.resourcemanager.service import run_manager

        try:
            await run_manager(settings, stopping)
        except ManagerError as error:
            failures.append(error)

    status = run_service(NAME, SUMMARY, Settings, manager, arguments=words)
    if not failures:
        return status
    print(f"{NAME}: {failures[0]}", file=sys.stderr)
    match failures[0]:
        case ConfigError() | JournalError():
            return WRONG_CONFIG
        case Superseded():
            return SUPERSEDED
        case _:
            return 1


def _validate(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(f"{NAME} validate", description="Check a resources file.")
    parser.add_argument("file", nargs="+", help="such as resources.yml")
    from hwprovisioner.resourcemanager.config import read_config

    status = 0
    for file in parser.parse_args(words).file:
        try:
            config = read_config(file)
        except ConfigError as error:
            print(error, file=sys.stderr)
            status = 1
        else:
            print(f"{file}: {len(config.resources)} resources, no problems")
    return status


def _schema(words: Sequence[str]) -> int:
    description = "Print the JSON Schema of resources files, for editors."
    argparse.ArgumentParser(f"{NAME} schema", description=description).parse_args(words)
    from hwprovisioner.resourcemanager.json_schema import json_schema

    print(json.dumps(json_schema(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
