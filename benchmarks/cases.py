"""All cases of `make bench`, in the order in which they run."""

from benchmarks.allocate import hand_over, latency, loaded
from benchmarks.expiry import lateness
from benchmarks.growth import labs, leases, managers, waiting
from benchmarks.heartbeat import rates as heartbeats
from benchmarks.peers import rates
from benchmarks.starting import starts
from benchmarks.streams import open_streams

CASES = (
    *latency.CASES,
    *loaded.CASES,
    *hand_over.CASES,
    *heartbeats.CASES,
    *lateness.CASES,
    *open_streams.CASES,
    *starts.CASES,
    *rates.CASES,
    *leases.CASES,
    *waiting.CASES,
    *managers.CASES,
    *labs.CASES,
)
