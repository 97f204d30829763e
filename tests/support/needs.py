"""What a test needs of the machine beyond Python: skipped by name where it is missing.

Where HWP_TEST_REQUIRE is set, as in CI, what is missing is a failure instead.
"""

import importlib
import os
import shutil
import socket
import subprocess
from types import ModuleType
from typing import NoReturn

import pytest

_SYSTEM_FOLDERS = "/usr/sbin:/sbin"


def missing(what: str) -> NoReturn:
    """End the running test: this machine lacks `what`."""
    if os.environ.get("HWP_TEST_REQUIRE"):
        pytest.fail(f"missing, and HWP_TEST_REQUIRE is set: {what}", pytrace=False)
    pytest.skip(f"missing: {what}")


def program(name: str) -> str:
    """Return where the program is, or end the test."""
    path = f"{os.environ.get('PATH', '')}:{_SYSTEM_FOLDERS}"
    return shutil.which(name, path=path) or missing(f"{name} on PATH")


def ipv6() -> None:
    """End the test where this machine has no ::1, as in many containers."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return
    except OSError:
        missing("the address ::1")


def docker_engine() -> str:
    """Return the version of the Docker engine that answers, or end the test."""
    docker = program("docker")
    command = [docker, "info", "--format", "{{.ServerVersion}}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except subprocess.TimeoutExpired:
        missing("a Docker engine that answers within 10 s")
    if answer.returncode != 0:
        missing("a Docker engine that answers")
    return answer.stdout.strip()


def module(name: str) -> ModuleType:
    """Return a module that is not in the lock, or end the test where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"the Python module {name}")
