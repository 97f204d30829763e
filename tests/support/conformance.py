"""Runs the conformance suite for drivers, as the author of a driver does."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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


def put_to_the_test(
    folder: Path,
    driver: str,
    resources: str = "",
    *words: str,
    environ: dict[str, str] | None = None,
) -> Verdict:
    """Run the suite in an empty folder, on an entry of this resources file, without plugins."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "-rs"]
    command += ["--pyargs", SUITE, "--driver", driver]
    if resources:
        (folder / "conformance.yml").write_text(resources)
        command += ["--resources", "conformance.yml"]
    done = subprocess.run(
        [*command, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)} | (environ or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    return Verdict(done.stdout, done.returncode)


def conforms(
    folder: Path,
    driver: str,
    resources: str = "",
    *words: str,
    environ: dict[str, str] | None = None,
) -> Verdict:
    """Run the suite; every test must pass, or say why it does not apply."""
    verdict = put_to_the_test(folder, driver, resources, *words, environ=environ)
    assert verdict.exit_code == 0, verdict.said
    assert verdict.count("passed") >= 15, verdict.said
    return verdict
