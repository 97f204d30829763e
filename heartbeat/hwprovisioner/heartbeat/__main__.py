"""`hwp-heartbeat`, or `python -m hwprovisioner.heartbeat`."""

import sys

from hwprovisioner.heartbeat.service import main as serve
from hwprovisioner.heartbeat.settings import Settings
from hwprovisioner.serving import run_service


def main() -> int:
    """Run the service, and return the exit status."""
    return run_service("hwp-heartbeat", "Keeps the allocations of a lab alive.", Settings, serve)


if __name__ == "__main__":
    sys.exit(main())
