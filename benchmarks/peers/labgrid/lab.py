"""labgrid's coordinator with exporters and clients that speak its protocol.

The coordinator is the one of the package, in an environment of its own. No driver of labgrid runs:
exporters answer at once. So what is measured is what a lab with labgrid waits for at least.
"""

from pathlib import Path

from benchmarks.frame.stage import Stage, free_port, listening
from benchmarks.frame.talking import Talker, ask_all
from benchmarks.peers.environment import LABGRID

_HERE = Path(__file__).parent
_NO_DEBUG = (
    "import asyncio.base_events as events, sys;"
    "events.BaseEventLoop.set_debug = lambda loop, on: setattr(loop, '_debug', False);"
    "sys.argv[0] = 'labgrid-coordinator';"
    "from labgrid.remote.coordinator import main; main()"
)
"""The same program without its `loop.set_debug(True)`."""


def loaded(
    stage: Stage, places: int, clients: int, *, processes: int = 1, is_debug: bool = True
) -> list[Talker]:
    """Run a coordinator with places, and return processes of clients.

    Args:
        stage: where.
        places: of two resources each, ten to an exporter.
        clients: each with a session of its own, told of every change, as labgrid-client is.
        processes: over which they are spread.
        is_debug: as it is shipped, in the debug mode of asyncio.
    """
    kind = "" if is_debug else "-no-debug"
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [LABGRID.python, "-m", "labgrid.remote.coordinator", "-l", address]
    if not is_debug:
        command = [LABGRID.python, "-c", _NO_DEBUG, "-l", address]
    # It keeps its state where it runs.
    folder = stage.folder / f"labgrid{kind}"
    folder.mkdir()
    stage.start(f"labgrid{kind}", command, ready=listening(port), folder=folder)
    exporters = _talker(stage, f"labgrid-exporters{kind}", "exporters.py", address)
    exporters.ask("build", places=places)
    names = [f"labgrid-clients{kind}-{number}" for number in range(processes)]
    talkers = [_talker(stage, name, "clients.py", address, name) for name in names]
    ask_all(talkers, "start", clients=clients // processes)
    return talkers


def _talker(stage: Stage, name: str, file: str, *arguments: str) -> Talker:
    return stage.talker(name, str(_HERE / file), *arguments, python=LABGRID.python)
