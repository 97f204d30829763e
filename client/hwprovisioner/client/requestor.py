"""Who asks, filled in from the process that asks. Pure: the environment is handed in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from hwprovisioner.v1.allocation_pb2 import Requestor

LONGEST = 1024
"""Characters that the contract takes in each field."""

# `--password=x`, `--api-key x`, `TOKEN=x`: a command line is shown to everybody in the lab.
_SECRET = re.compile(r"(?i)(passw|secret|token|api[-_]?key|credential)")

_LINKS = ("CI_JOB_URL", "BUILD_URL", "CIRCLE_BUILD_URL", "BUILDKITE_BUILD_URL", "CI_BUILD_URL")
_USERS = ("GITLAB_USER_LOGIN", "GITHUB_ACTOR", "USER", "LOGNAME", "USERNAME")


def describe(
    environ: Mapping[str, str], host: str, argv: Sequence[str], account: str = ""
) -> Requestor:
    """Says who asks.

    Args:
        environ: The environment of the process.
        host: The name of this machine.
        argv: The command line; what looks like a secret in it is left out.
        account: The account that the process runs as, for where the environment names no user.
    """
    return Requestor(
        user=(_first(environ, _USERS) or account)[:LONGEST],
        host=host[:LONGEST],
        command=shlex.join(without_secrets(argv))[:LONGEST],
        job_link=job_link(environ)[:LONGEST],
    )


def job_link(environ: Mapping[str, str]) -> str:
    """Finds the link to the CI job: GitLab, Jenkins, GitHub, CircleCI, Buildkite, Azure."""
    if link := _first(environ, _LINKS):
        return link
    if run := environ.get("GITHUB_RUN_ID"):
        server = environ.get("GITHUB_SERVER_URL", "https://github.com")
        return f"{server}/{environ.get('GITHUB_REPOSITORY', '')}/actions/runs/{run}"
    if build := environ.get("BUILD_BUILDID"):
        collection = environ.get("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "")
        project = environ.get("SYSTEM_TEAMPROJECT", "")
        return f"{collection}{project}/_build/results?buildId={build}"
    return ""


def without_secrets(argv: Sequence[str]) -> list[str]:
    """Replaces the values of options that look like secrets."""
    shown: list[str] = []
    hide_next = False
    for argument in argv:
        name, equals, _ = argument.partition("=")
        secret = bool(_SECRET.search(name))
        if hide_next and not argument.startswith("-"):
            shown.append("***")
        elif secret and equals:
            shown.append(f"{name}=***")
        else:
            shown.append(argument)
        hide_next = secret and not equals and argument.startswith("-")
    return shown


def _first(environ: Mapping[str, str], names: Sequence[str]) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")
