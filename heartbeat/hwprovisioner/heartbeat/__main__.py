"""`hwp-heartbeat`, or `python -m hwprovisioner.heartbeat`."""

import sys

import uvloop

from hwprovisioner.heartbeat.service import main as serve
from hwprovisioner.heartbeat.settings import Settings
from hwprovisioner.serving import run_service

NAME = "hwp-heartbeat"
SUMMARY = "Keeps the allocations of a lab alive."


def main() -> int:
    """Run the service, and return the exit status."""
    return run_service(NAME, SUMMARY, Settings, serve, loop=uvloop.new_event_loop)


if __name__ == "__main__":
    sys.exit(main())
