"""``make bench``: starts the suite, measures, prints ratios, ends everything."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from benchmarks import idle
from benchmarks.measuring import table
from benchmarks.running_suite import running_suite

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Return 0 if every ratio is what it should be."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="how often each is measured")
    arguments = parser.parse_args()
    with running_suite(resources=1) as addresses:
        asyncio.run(idle.measure(addresses, 20))  # what is slow only once is not measured
        timings, ratios = asyncio.run(idle.measure(addresses, arguments.rounds))
    print(table(timings), "", *ratios, sep="\n")
    RESULTS.mkdir(exist_ok=True)
    result = {ratio.name: round(ratio.value, 3) for ratio in ratios}
    (RESULTS / "idle.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0 if all(ratio.holds for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
