"""Known bugs, each a patch that says itself what it does and what finds it.

A patch begins with words for people, then has lines such as::

    Found by: tests/state/test_grant.py -k deposed
    Found by: chaos 7 10 kill-manager, promise 3

The first is arguments for pytest. The second is a run of chaos: its seed, its seconds, the kinds of
faults (``none`` for none) and the promise that it finds broken.
"""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "bugs"
#: Patches have little context, so that they apply to what has changed elsewhere.
_APPLY = ("git", "apply", "--whitespace=nowarn", "-C0")
_FOUND_BY = re.compile(r"^Found by: (.+)$", re.MULTILINE)
_CHAOS = re.compile(r"chaos (\d+) (\d+) (\S+), promise (\d+)")


@dataclass(frozen=True, slots=True)
class ChaosRun:
    """A run of chaos that finds a promise broken."""

    seed: int
    seconds: int
    faults: str
    promise: int


@dataclass(frozen=True, slots=True)
class Bug:
    """A patch that breaks something.

    Attributes:
        detectors: what finds it: arguments for pytest, or a run of chaos.
    """

    patch: Path
    detectors: tuple[str | ChaosRun, ...]

    @property
    def name(self) -> str:
        return self.patch.stem

    def apply(self, tree: Path, *options: str) -> None:
        """Apply the patch to a tree; `-R` takes it back, `--check` only looks.

        Raises:
            PatchFailed: It does not fit what is there.
        """
        result = subprocess.run(
            [*_APPLY, *options, str(self.patch)],
            cwd=tree,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise PatchFailed(f"{self.name} does not apply, make it anew:\n{result.stderr}")


class PatchFailed(Exception):
    """What a patch changes has changed."""


def bugs() -> list[Bug]:
    """Return all known bugs by name."""
    return [_read(patch) for patch in sorted(FOLDER.glob("*.patch"))]


def _read(patch: Path) -> Bug:
    head = patch.read_text().partition("\ndiff --git")[0]
    found = tuple(_detector(text) for text in _FOUND_BY.findall(head))
    assert found, f"{patch.name} does not say what finds it"
    return Bug(patch, found)


def _detector(text: str) -> str | ChaosRun:
    if match := _CHAOS.fullmatch(text):
        seed, seconds, faults, promise = match.groups()
        return ChaosRun(int(seed), int(seconds), faults, int(promise))
    assert text.startswith("tests/"), text
    return text
