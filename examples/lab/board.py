#!/usr/bin/env python3
"""A board behind a relay, for driver `exec`.

The relay is a file that is there while it is on.
"""

import json
import sys
from pathlib import Path


def main() -> None:
    """Answers one question of the driver."""
    question = json.load(sys.stdin)
    relay = Path(question["parameters"]["relay"])
    match question["action"]:
        case "prepare":
            print("switching the board on", file=sys.stderr)
            relay.touch()
            # A real one would be reached by its serial port or by SSH.
            print(json.dumps({"connection": {"protocol": "local"}}))
        case "tear_down":
            print("switching the board off", file=sys.stderr)
            relay.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
