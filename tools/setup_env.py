#!/usr/bin/env python3
"""Make .venv from requirements.lock, and the project editable in it.

Runs on whatever `python3` is there, so it uses only what old versions know too: the first thing it
says may be that this python3 is too old.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from typing import NoReturn

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, ".setup-done")


def fail(what: str) -> NoReturn:
    """End with one line that says what to do."""
    sys.exit("setup: " + what)


def inputs() -> str:
    """Return the digest of everything the environment is made from."""
    digest = hashlib.sha256(sys.version.encode())
    for name in ("requirements.lock", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def run(*command: str) -> None:
    """Run a command, showing its output only when it fails."""
    result = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        sys.stderr.write(result.stdout.decode(errors="replace"))
        fail("failed: " + " ".join(command))


def works(*command: str) -> bool:
    """Tell whether a command is there and succeeds, without a word."""
    null = subprocess.DEVNULL
    try:
        return subprocess.call(command, stdout=null, stderr=null) == 0
    except OSError:
        return False


def pip() -> "list[str]":
    """Make the environment where it is missing, and return the pip command that works on it."""
    inner = [PYTHON, "-m", "pip"]
    outer = [sys.executable, "-m", "pip", "--python", PYTHON]
    if works(*inner, "--version"):
        return inner
    if works(sys.executable, "-c", "import ensurepip"):
        run(sys.executable, "-m", "venv", "--clear", VENV)
        return inner
    # Debian keeps ensurepip in a package of its own; the pip of this Python can do it as well.
    if not works(sys.executable, "-m", "pip", "--version"):
        fail("this python3 has neither venv nor pip; on Debian: apt install python3-venv")
    if not works(PYTHON, "-c", ""):
        run(sys.executable, "-m", "venv", "--clear", "--without-pip", VENV)
    return outer


def main() -> None:
    """Set up once; later calls return at once until the lock or pyproject.toml changes."""
    if sys.version_info < OLDEST:
        fail(
            "python3 is {}.{}, needed is {}.{} or newer; name one with PYTHON=, "
            "as in: make setup PYTHON=python3.12".format(*sys.version_info[:2], *OLDEST)
        )
    # Two `make` at once (an editor and a terminal) must not install over each other.
    with open(os.path.join(ROOT, "requirements.lock")) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = inputs()
        if os.path.exists(STAMP):
            with open(STAMP) as stamp:
                if stamp.read() == wanted:
                    os.utime(STAMP)
                    return
        install = [*pip(), "install", "--quiet", "--disable-pip-version-check"]
        print("setup: installing the locked packages into .venv (once; about a minute)", flush=True)
        run(*install, "-r", "requirements.lock")
        # The build back end is in the lock, so nothing is fetched past it.
        run(*install, "--no-build-isolation", "--no-deps", "--editable", ".")
        with open(STAMP, "w") as stamp:
            stamp.write(wanted)


if __name__ == "__main__":
    main()
