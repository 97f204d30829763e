"""All cases of `make bench`, in the order in which they run."""

from benchmarks.allocate import latency, loaded

CASES = (*latency.CASES, *loaded.CASES)
