"""Runs the conformance suite for drivers, as the author of a driver does."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.plugin_run import STRANGERS

SUITE = "hwprovisioner.resourcemanager.conformance"
#: What one run may take; a test that calls this has to have as long.
LIMIT_S = 300


@dataclass(frozen=True)
class Verdict:
    """What came of a run of the suite."""

    said: str
    exit_code: int

    def count(self, word: str) -> int:
        """Return how many tests ended so: `passed`, `failed`, `skipped`."""
        found = re.search(rf"(\d+) {word}\b.* in ", self.said)
        return int(found[1]) if found else 0


def conforms(folder: Path, driver: str, resources: str = "", *words: str) -> Verdict:
    """Put a driver to the test; every promise must be kept, or not apply."""
    verdict = put_to_the_test(folder, driver, resources, *words)
    assert verdict.exit_code == 0, verdict.said
    assert verdict.count("passed") >= 15, verdict.said
    return verdict


def put_to_the_test(folder: Path, driver: str, resources: str = "", *words: str) -> Verdict:
    """Put a driver to the test on an entry of a resources file; without one, on `{driver: …}`."""
    options = ["--driver", driver]
    if resources:
        (folder / "conformance.yml").write_text(resources)
        options += ["--resources", "conformance.yml"]
    return run_suite(folder, *options, *words)


def run_suite(folder: Path, *words: str) -> Verdict:
    """Run the suite in a folder, whose modules it can import."""
    without = [f"-pno:{name}" for name in STRANGERS]
    command = [sys.executable, "-m", "pytest", *without, "-W", "error", "-rs"]
    done = subprocess.run(
        [*command, "--pyargs", SUITE, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    return Verdict(done.stdout, done.returncode)
