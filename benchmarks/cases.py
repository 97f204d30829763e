"""All cases of `make bench`, in the order in which they run."""

from benchmarks.allocate import latency

CASES = (*latency.CASES,)
