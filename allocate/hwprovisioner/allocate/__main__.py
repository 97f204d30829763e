"""``python -m hwprovisioner.allocate``: the Allocate service as a process."""

import sys

from hwprovisioner.allocate.server import run
from hwprovisioner.allocate.settings import Settings
from hwprovisioner.serving import run_service


def main() -> None:
    """Run the service until a signal ends it."""
    sys.exit(run_service("hwp-allocate", "Brings demands and resources together.", Settings, run))


if __name__ == "__main__":
    main()
