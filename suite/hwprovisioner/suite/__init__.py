"""The whole suite on one machine: `hwp up`.

Starts an embedded server for state, allocate, heartbeat and a resource manager as child processes,
watches over them, and stops them in order.
"""

from .embedded import EmbeddedState
from .errors import SuiteError
from .state_folder import StateFolder, default_folder
from .up import Options, run_up

__all__ = [
    "EmbeddedState",
    "Options",
    "StateFolder",
    "SuiteError",
    "default_folder",
    "run_up",
]
