import signal
import subprocess
import sys
from pathlib import Path

from support.eventually import eventually

_HERE = Path(__file__).parent
_STAGE = f"""
from benchmarks.frame.stage import Stage
with Stage() as stage:
    talker = stage.talker("echo", {str(_HERE / "echoing.py")!r})
    talker.ask("echo", said="there")
    print(stage.redis().pid, talker.pid, flush=True)
    input()
"""


def _started_and_killed() -> list[str]:
    """Return the processes that something has started which was killed then."""
    with subprocess.Popen(
        [sys.executable, "-c", _STAGE],
        cwd=_HERE.parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        pids = process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
    return pids


async def test_what_a_killed_benchmark_has_started_ends_with_it() -> None:
    pids = _started_and_killed()

    assert len(pids) == 2
    await eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
