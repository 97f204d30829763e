"""`hwp-heartbeat`, or `python -m hwprovisioner.heartbeat`."""

import argparse
import os
import sys

import uvloop

from hwprovisioner.heartbeat.service import main as serve
from hwprovisioner.heartbeat.settings import Settings
from hwprovisioner.serving import run_service

NAME = "hwp-heartbeat"
SUMMARY = "Keeps the allocations of a lab alive."


def main() -> int:
    """Run the service, and return the exit status."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--workers", default=os.environ.get("HWP_WORKERS", ""))
    options, words = parser.parse_known_args()
    environ = {**os.environ, "HWP_WORKERS": options.workers}
    loop = uvloop.new_event_loop
    return run_service(NAME, SUMMARY, Settings, serve, loop=loop, arguments=words, environ=environ)


if __name__ == "__main__":
    sys.exit(main())
