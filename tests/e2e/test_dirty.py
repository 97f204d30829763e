"""A machine that cannot be cleaned, in the whole suite: nobody has it until a person has looked."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.eventually import eventually
from support.real_suite import Suite, running

#: How long one step may take on a machine that is busy with other things.
LIMIT_S = 120.0
pytestmark = pytest.mark.timeout(8 * LIMIT_S)

_SCRIPT = """\
#!{python}
import json, os, sys
action = json.load(sys.stdin)["action"]
if action == "prepare":
    print(json.dumps({{"connection": {{"protocol": "local"}}}}))
elif action == "describe":
    print(json.dumps({{"cpus": 4}}))
elif action == "clean" and not os.path.exists({mended!r}):
    sys.exit("the disk is locked")
"""


def resources(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "bench.py"
    script.write_text(_SCRIPT.format(python=sys.executable, mended=str(folder / "mended")))
    script.chmod(0o755)
    return f"""\
resources:
  static:
    alpha:
      driver: exec
      kind: edge
      cpu: 8
      care: {{clean_tries: 2}}
      options: {{command: {script}}}
"""


def alpha(suite: Suite) -> dict[str, object]:
    result = suite.hwp("get", "resource", "alpha", "-o", "json")
    return json.loads(result.stdout) if result.returncode == 0 else {}


def is_so(suite: Suite, **fields: str) -> Callable[[], bool]:
    return lambda: fields.items() <= alpha(suite).items()


async def test_what_cannot_be_cleaned_is_lent_again_once_it_is_clean(tmp_path: Path) -> None:
    folder = tmp_path / "bench"
    async with running(tmp_path / "suite", resources=resources(folder)) as suite:
        said = "resources.yml says cpu: 8 (line 6), the machine has 4"
        assert alpha(suite)["warnings"] == [said]
        assert suite.hwp("run", "--resource", "alpha", "--", "true").returncode == 0
        await eventually(is_so(suite, health="HEALTH_QUARANTINED"), within=LIMIT_S)
        assert "the disk is locked; tried 2 times" in str(alpha(suite)["reason"])
        suite.kill("resourcemanager")
        dirty = is_so(suite, presence="PRESENCE_ONLINE", health="HEALTH_QUARANTINED")
        await eventually(dirty, within=LIMIT_S)
        assert suite.hwp("run", "--resource", "alpha", "--wait", "1", "--", "true").returncode == 5
        (folder / "mended").touch()
        # Once is enough, also while nobody is there to hear it.
        suite.kill("resourcemanager")
        assert suite.hwp("undrain", "alpha").returncode == 0
        await eventually(is_so(suite, health="HEALTH_HEALTHY"), within=LIMIT_S)
        assert suite.hwp("run", "--resource", "alpha", "--", "true").returncode == 0
