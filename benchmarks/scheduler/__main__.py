"""``make bench-scheduler``: what a decision costs, whatever the size of the lab and of the queue.

First without services, then the view of a large lab from a real Redis. Labs of different size are
measured in turns, so that all see the same machine; ratios are of medians of one run.
"""

import argparse
import gc
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.measuring import Ratio
from benchmarks.scheduler import curve, making, oddities, through_redis, view_load
from benchmarks.scheduler.measuring import Decisions, Times, measure_decisions
from benchmarks.scheduler.simulated import SimulatedLab, Size
from hwprovisioner.allocate.demand import SetDemand

TOP = Path(__file__).resolve().parents[2]
RESULTS = TOP / "benchmarks" / "results"
PICTURE = TOP / "docs" / "scheduling-cost.svg"
_TURNS = 3
"""So often the service is measured with few machines and then with many."""


def by_resources(sizes: Sequence[int]) -> list[tuple[Size, Decisions]]:
    """Measure labs with more and more resources."""
    return _measured([Size(resources=n, queued=min(10_000, 10 * n)) for n in sizes])


def by_queue(sizes: Sequence[int]) -> list[tuple[Size, Decisions]]:
    """Measure labs with more and more requests that wait."""
    return _measured([Size(queued=n, classes=min(n, 1_000)) for n in sizes])


def by_shared(sizes: Sequence[int]) -> list[tuple[Size, Decisions]]:
    """Measure labs with more and more resources, of which a tenth of the sorts are shared out.

    Remnants of shared machines are always open, too small for most of those who wait.
    """
    few = [Size(resources=n, queued=min(10_000, 10 * n), shared_percent=10) for n in sizes]
    return _measured(few)


def _measured(sizes: Sequence[Size]) -> list[tuple[Size, Decisions]]:
    labs = [SimulatedLab(size) for size in sizes]
    gc.collect()
    gc.freeze()
    found = measure_decisions(labs)
    gc.unfreeze()
    return list(zip(sizes, found, strict=True))


def of_plain(rounds: int) -> Times:
    """Measure decisions of one lab in a row, as a service makes them that has but one."""
    lab, times = SimulatedLab(Size()), Times()
    for _ in range(3 * lab.size.resources):
        lab.time_freed()
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        passed, grants = lab.time_freed()
        if grants:
            times.add(passed)
    gc.unfreeze()
    return times


def of_sets(rounds: int) -> Times:
    """Measure decisions that grant a set of 8 hosts, in a lab in which each tenth class is one."""

    def demands(number: int) -> SetDemand:
        return making.plain(number) if number % 10 else making.set_of(8, number)

    lab, times = SimulatedLab(Size(), demands), Times()
    for _ in range(rounds):
        passed, grants = lab.time_freed()
        if any(len(grant.hosts) > 1 for grant in grants):
            times.add(passed)
    return times


def report(title: str, rows: Sequence[tuple[str, Decisions]]) -> None:
    """Print a table in Markdown."""
    print(f"\n| {title} | freed to grant, µs | p99 | submit to grant, µs | submit that waits, µs |")
    print("|---|---|---|---|---|")
    for name, found in rows:
        print(
            f"| {name} | {found.freed.median:.0f} | {found.freed.p99:.0f}"
            f" | {found.submit.median:.0f} | {found.waiting.median:.0f} |"
        )


def _by_redis() -> float:
    """Return by how much the service is slower with 3,000 machines than with 100."""
    pairs = [
        (through_redis.measure(100, 1_000), through_redis.measure(3_000, 3_000))
        for _ in range(_TURNS)
    ]
    few, many = (statistics.median(each) for each in zip(*pairs, strict=True))
    print(f"\nfreed to grant through Redis: {few:.0f} µs at 100 machines, {many:.0f} at 3,000")
    return statistics.median(many / few for few, many in pairs)


def _spread(rows: Sequence[tuple[Size, Decisions]], what: str) -> float:
    medians = [getattr(found, what).median for _, found in rows]
    return float(max(medians) / min(medians))


def main() -> int:
    """Return 0 if every figure is what it should be."""
    parser = argparse.ArgumentParser(prog="benchmarks.scheduler", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller labs, no Redis")
    quick = parser.parse_args().quick
    plain = of_plain(20_000)
    resources = by_resources([100, 1_000, 10_000] if quick else [100, 1_000, 10_000, 100_000])
    queue = by_queue([10, 100, 1_000, 10_000] if quick else [10, 100, 1_000, 10_000, 100_000])
    shared = by_shared([100, 1_000] if quick else [100, 1_000, 10_000])
    report("resources", [(f"{size.resources:,}", found) for size, found in resources])
    report("queued", [(f"{size.queued:,}", found) for size, found in queue])
    report("with shared ones", [(f"{size.resources:,}", found) for size, found in shared])
    sets = of_sets(2_000 if quick else 10_000)
    ratios = [
        Ratio("freed to grant, most against least resources", _spread(resources, "freed"), 2),
        Ratio("submit to grant, most against least resources", _spread(resources, "submit"), 2),
        Ratio("freed to grant, longest against shortest queue", _spread(queue, "freed"), 2),
        Ratio("submit to grant, longest against shortest queue", _spread(queue, "submit"), 2),
        Ratio("freed to grant beside shared ones, most against least", _spread(shared, "freed"), 2),
        Ratio("freed to grant at 10,000 and 10,000, in a row, in 50 µs", plain.median / 50, 1),
        Ratio(f"a set of 8 granted ({len(sets.each_us)} times), in 1 ms", sets.median / 1000, 1),
        *oddities.measure(),
    ]
    if not quick:
        one = view_load.measure(100_000, 0)
        both = view_load.measure(100_000, 100_000)
        ratios.append(
            Ratio("view and lab of 100,000 and 100,000, in 10 s", both["seconds"] / 10, 1)
        )
        ratios.append(Ratio("memory of a resource, in KiB", one["grown"] / 100_000 / 1024, 1))
        ratios.append(Ratio("freed to grant through Redis, 3,000 against 100", _by_redis(), 2))
    print("", *ratios, sep="\n")
    _keep(resources, queue, ratios)
    return 0 if all(ratio.holds for ratio in ratios) else 1


def _keep(
    resources: Sequence[tuple[Size, Decisions]],
    queue: Sequence[tuple[Size, Decisions]],
    ratios: Sequence[Ratio],
) -> None:
    curves = {
        "freed to grant, by resources": [(s.resources, f.freed.median) for s, f in resources],
        "submit to grant, by resources": [(s.resources, f.submit.median) for s, f in resources],
        "freed to grant, by queued": [(s.queued, f.freed.median) for s, f in queue],
        "submit to grant, by queued": [(s.queued, f.submit.median) for s, f in queue],
    }
    PICTURE.write_text(curve.draw("What a decision costs, by how much there is", curves))
    RESULTS.mkdir(exist_ok=True)
    kept = {
        "ratios": {ratio.name: round(ratio.value, 3) for ratio in ratios},
        "sizes": [asdict(size) for size, _ in (*resources, *queue)],
        "curves": curves,
    }
    (RESULTS / "scheduler.json").write_text(json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
