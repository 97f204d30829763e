"""Driver `exec` with scripts that a test writes."""

import json
import stat
import textwrap
from collections.abc import Callable
from pathlib import Path

from hwprovisioner.resourcemanager import Config, Driver, Hold, Share, parse_config
from hwprovisioner.resourcemanager.loading import load_driver

HOLD = Hold("h1", "relay", 7, Share(2, 1024, (0,)), "a1", "edge", "eve", {"cpus": "2"})

Make = Callable[..., Driver]


def config(command: object, options: str = "") -> Config:
    return parse_config(f"""
resources:
  static:
    relay:
      driver: exec
      kind: edge
      labels: [rack=a1]
      access: {{host: 10.0.0.9}}
      options: {{command: {json.dumps(command)}, parameters: {{outlet: 07}} {options}}}
""")


def maker(folder: Path) -> Make:
    """Return what makes a driver of a script's body; there is one script at a time."""

    def make(body: str, options: str = "", shell: str = "/bin/sh") -> Driver:
        path = folder / "script"
        path.write_text(f"#!{shell}\n{textwrap.dedent(body)}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return load_driver("exec")(config(str(path), options).resources["relay"])

    return make
