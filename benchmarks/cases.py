"""All cases of `make bench`, in the order in which they run."""

from benchmarks.allocate import hand_over, latency, loaded
from benchmarks.peers import rates

CASES = (*latency.CASES, *loaded.CASES, *hand_over.CASES, *rates.CASES)
