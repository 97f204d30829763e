"""Environments of peers, each beside ours: what they need must not meet what we need."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / ".venv-peers"
"""`make clean` removes it."""
_LIMIT_S = 300


@dataclass(frozen=True)
class PeerEnvironment:
    """Packages that a peer needs, in an environment of its own that is made when it is wanted."""

    name: str
    requirements: Path

    @property
    def folder(self) -> Path:
        """Where it is."""
        return FOLDER / self.name

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def missing(self) -> str:
        """Return how to get it; empty if it is there."""
        if self._is_made():
            return ""
        said = self._log.read_text() if self._log.exists() else ""
        why = f" ({said.strip().splitlines()[-1]})" if said.strip() else ""
        return f"{self.name} is not installed{why}: make bench-peers, with a package index at hand"

    def prepare(self) -> None:
        """Make it if it is not there; if that fails `missing` says why."""
        if self._is_made():
            return
        print(f"installing {self.name} into {self.folder.relative_to(TOP)} …", flush=True)
        FOLDER.mkdir(exist_ok=True)
        # With our pip: one of its own would take as long as all the rest.
        pip = [sys.executable, "-m", "pip", "--python", self.python, "--disable-pip-version-check"]
        commands = [
            [sys.executable, "-m", "venv", "--clear", "--without-pip", str(self.folder)],
            [*pip, "install", "--quiet", "--requirement", str(self.requirements)],
        ]
        for command in commands:
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._log.write_text(f"not done within {_LIMIT_S} s")
                return
            if done.returncode:
                self._log.write_text(done.stderr or done.stdout)
                return
        self._log.unlink(missing_ok=True)
        self._stamp.write_text(self._wanted)

    @property
    def _log(self) -> Path:
        return FOLDER / f"{self.name}.log"

    @property
    def _stamp(self) -> Path:
        return self.folder / "made"

    @property
    def _wanted(self) -> str:
        return hashlib.sha256(self.requirements.read_bytes()).hexdigest()

    def _is_made(self) -> bool:
        return self._stamp.exists() and self._stamp.read_text() == self._wanted


LABGRID = PeerEnvironment("labgrid", Path(__file__).parent / "labgrid" / "requirements.txt")


if __name__ == "__main__":
    LABGRID.prepare()
    sys.exit(LABGRID.missing() or 0)
