"""Where the processor time of each path goes: `make bench-profiles`."""
