"""`hwp up` with stand-ins for the services: a program of its own, so that it can be killed."""

import sys
from pathlib import Path
from unittest import mock

from hwprovisioner.suite import services
from hwprovisioner.suite.command import up

if __name__ == "__main__":
    stand_ins = {name: f"suite.stand_in_{name}" for name in services.MODULES}
    with mock.patch.dict("os.environ", PYTHONPATH=str(Path(__file__).parents[1])):
        with mock.patch.dict(services.MODULES, stand_ins):
            up.main(sys.argv[1:], prog_name="hwp up")
