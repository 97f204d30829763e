"""``make chaos``: real processes under seeded faults, and a checker of what they did.

CHAOS_SECONDS (60 by default) and CHAOS_SEED (by default any, which is printed) say what to run;
CHAOS_FAULTS, words between commas, which kinds of faults (`none` is load alone); where `fail-over`
is one of them, Redis has a replica and Sentinel. CHAOS_KEEP names a folder in which logs and
histories are kept.
"""

import asyncio
import logging
import os
import secrets
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from chaos.broken import Broken
from chaos.faults import FAULTS, kinds_of
from chaos.figures import figures
from chaos.run import Result, run

#: What breaks a promise breaks it again and again.
SHOWN = 3


def main() -> int:
    """Return 0 if every promise was kept."""
    logging.disable(logging.WARNING)  # of Redis being away, which is meant to be
    seconds = float(os.environ.get("CHAOS_SECONDS") or 60)
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(10**6))
    kinds = _kinds(os.environ.get("CHAOS_FAULTS") or ",".join(kinds_of(seed)))
    print(f"chaos of {seconds:g} s with seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="hwp-chaos-") as made:
        folder = Path(os.environ.get("CHAOS_KEEP") or made)
        folder.mkdir(parents=True, exist_ok=True)
        result = asyncio.run(_run(folder, seed, seconds, kinds))
    print(*figures(result.lines, result.broken, result.lateness), sep="\n")
    if not result.broken:
        print("every promise was kept")
        return 0
    print(f"\n{len(result.broken)} promises were broken; again: make chaos CHAOS_SEED={seed}")
    for broken in _some_of_each(result.broken):
        print(f"\n{broken}")
    return 1


def _some_of_each(found: Iterable[Broken]) -> Iterator[Broken]:
    shown = Counter[int]()
    for broken in found:
        shown[broken.promise] += 1
        if shown[broken.promise] <= SHOWN:
            yield broken


def _kinds(text: str) -> list[str]:
    kinds = [] if text == "none" else text.split(",")
    if unknown := set(kinds) - set(FAULTS):
        sys.exit(f"CHAOS_FAULTS: no fault {sorted(unknown)}; there are {', '.join(FAULTS)}")
    return kinds


async def _run(folder: Path, seed: int, seconds: float, kinds: Iterable[str]) -> Result:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(folder, seed, seconds, kinds=kinds)


if __name__ == "__main__":
    sys.exit(main())
