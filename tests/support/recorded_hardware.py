"""Hardware that itself records who used it when, so that a double is seen where it would hurt.

The driver is `exec`; its script appends one line for each call to a file.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """\
#!{python}
import json, os, sys, time
call = json.load(sys.stdin)
line = json.dumps([time.monotonic(), call["action"], call["resource"]["name"],
                   (call.get("hold") or {{}}).get("id", "")])
with open({record!r}, "a") as record:
    record.write(line + "\\n")
if call["action"] == "prepare":
    print(json.dumps({{"connection": {{"protocol": "local"}}}}))
else:
    print("{{}}")
"""


@dataclass(frozen=True, slots=True)
class Use:
    """One call of the driver."""

    at: float
    action: str
    resource: str
    hold: str


class RecordedHardware:
    """Resources whose driver records what is done with them."""

    def __init__(self, folder: Path, *names: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._record = folder / "record.jsonl"
        self._script = folder / "hardware.py"
        self._script.write_text(_SCRIPT.format(python=sys.executable, record=str(self._record)))
        self._script.chmod(0o755)
        self._names = names

    @property
    def resources(self) -> str:
        """The resources.yml that describes them."""
        script = self._script
        lines = [
            f"    {name}: {{driver: exec, kind: edge, cpu: 2, options: {{command: {script}}}}}"
            for name in self._names
        ]
        return "resources:\n  static:\n" + "\n".join(lines) + "\n"

    @property
    def uses(self) -> list[Use]:
        if not self._record.exists():
            return []
        return [Use(*json.loads(line)) for line in self._record.read_text().splitlines()]

    def check_never_twice(self) -> None:
        """Fail if a resource was readied up for a hold before it was cleaned after the last."""
        holder: dict[str, str] = {}
        for use in self.uses:
            if use.action == "prepare":
                assert holder.get(use.resource) in (None, use.hold), self.uses
                holder[use.resource] = use.hold
            elif use.action == "clean":
                holder.pop(use.resource, None)
