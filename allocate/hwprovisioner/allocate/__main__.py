"""``python -m hwprovisioner.allocate``: the Allocate service as a process."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

import uvloop

from hwprovisioner.allocate.policy_file import PolicyError, read_policy
from hwprovisioner.allocate.settings import Settings
from hwprovisioner.serving import open_files, run_service

NAME = "hwp-allocate"
SUMMARY = "Brings demands and resources together. `validate FILE` checks a policy file instead."

#: Exit status of `validate` if a file has problems.
BAD_POLICY = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service until a signal ends it, or check policy files; return the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["validate"]:
        return _validate(words[1:])
    return run_service(NAME, SUMMARY, Settings, _run, loop=uvloop.new_event_loop, arguments=words)


async def _run(settings: Settings, stopping: asyncio.Event) -> None:
    # Files are checked and help is printed without loading the service.
    from hwprovisioner.allocate.server import run

    open_files.raise_limit()
    await run(settings, stopping)


def _validate(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(f"{NAME} validate", description="Check policy files.")
    parser.add_argument("file", nargs="+", help="such as policy.yml")
    status = 0
    for file in parser.parse_args(words).file:
        try:
            policy = read_policy(file)
        except PolicyError as error:
            print(error, file=sys.stderr)
            status = BAD_POLICY
        else:
            users, teams = len(policy.users), len(policy.teams)
            print(f"{file}: {users} users and {teams} teams, no problems")
    return status


if __name__ == "__main__":
    sys.exit(main())
