"""Who used the processors: each of our processes, and everybody else. From /proc (Linux)."""

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOREIGN_CORES = 0.25
"""More than this used by others disturbs what is measured."""
_TICKS = os.sysconf("SC_CLK_TCK")
_OFF_S = 4 / _TICKS
"""Processor time is counted in ticks, that of each process for itself: so much may be nobody's."""
_KTHREADD = 2


@dataclass(frozen=True)
class Worked:
    """A process: its parent, and the processor time of itself and of its ended children, in s."""

    parent: int
    own_s: float
    children_s: float


@dataclass(frozen=True)
class Sample:
    """What everybody has used so far."""

    at_s: float
    busy_s: float
    """Of all processors: programs and the kernel for them, and time stolen by other guests.

    Interrupts are left out: those of loopback are nobody's.
    """
    processes: Mapping[int, Worked]


@dataclass(frozen=True)
class Load:
    """What was used between two samples, in cores."""

    seconds: float
    foreign: float
    ours: float = 0.0
    """Of this process and all that it has started."""
    shares: Mapping[str, float] = field(default_factory=dict)
    """Of each process that has a name."""

    @property
    def disturbed(self) -> bool:
        """Others took so much that what was measured meanwhile counts for nothing."""
        return self.foreign > FOREIGN_CORES + _OFF_S / self.seconds


def sample() -> Sample:
    """Return what everybody has used so far."""
    processes = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (worked := _worked(folder)):
            processes[int(folder.name)] = worked
    return Sample(time.monotonic(), _busy_s(Path("/proc/stat").read_text()), processes)


def _worked(folder: Path) -> Worked | None:
    try:
        return parse_process((folder / "stat").read_text())
    except OSError:  # it has ended
        return None


def parse_process(stat: str) -> Worked:
    """Return what /proc/PID/stat says."""
    fields = stat.rpartition(")")[2].split()
    user, system, children_user, children_system = (int(word) for word in fields[11:15])
    children = children_user + children_system
    return Worked(int(fields[1]), (user + system) / _TICKS, children / _TICKS)


def resident_kib(pid: int) -> int:
    """Return what a process has in memory, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("this system does not tell how much memory a process has")


def _busy_s(stat: str) -> float:
    user, nice, system, _, _, _, _, steal = (int(word) for word in stat.split()[1:9])
    return (user + nice + system + steal) / _TICKS


def descendants(processes: Mapping[int, Worked], roots: Iterable[int]) -> set[int]:
    """Return processes with all that they have started."""
    children: dict[int, list[int]] = {}
    for pid, worked in processes.items():
        children.setdefault(worked.parent, []).append(pid)
    found: set[int] = set()
    ahead = [pid for pid in roots if pid in processes]
    while ahead:
        pid = ahead.pop()
        if pid not in found:
            found.add(pid)
            ahead += children.get(pid, [])
    return found


def load_between(
    before: Sample,
    after: Sample,
    ours: int,
    named: Mapping[str, int],
    ended_s: Mapping[str, float] | None = None,
) -> Load:
    """Return what was used between two samples.

    Args:
        before: the earlier one.
        after: the later one.
        ours: this process; with all that it has started it is not foreign.
        named: processes whose share is told; what they have started has a number behind the name.
        ended_s: what others have used that ran in between, by name.
    """
    seconds = after.at_s - before.at_s
    busy = after.busy_s - before.busy_s
    used = _total_s(after, [ours]) - _total_s(before, [ours])
    # Threads of the kernel write and clean up for whoever is there.
    kernel = _total_s(after, [_KTHREADD]) - _total_s(before, [_KTHREADD])
    foreign = max(0.0, busy - used - kernel)
    shares = {name: spent / seconds for name, spent in (ended_s or {}).items()}
    for name, pid in named.items():
        family = sorted(descendants(after.processes, [pid]) - {pid})
        each = {name: pid, **{f"{name}/{n}": child for n, child in enumerate(family, 1)}}
        for what, child in each.items():
            shares[what] = (_own_s(after, child) - _own_s(before, child)) / seconds
    return Load(seconds, foreign / seconds, used / seconds, shares)


def _own_s(side: Sample, pid: int) -> float:
    return side.processes[pid].own_s if pid in side.processes else 0.0


def _total_s(side: Sample, roots: Iterable[int]) -> float:
    family = (side.processes[pid] for pid in descendants(side.processes, roots))
    return sum(worked.own_s + worked.children_s for worked in family)
