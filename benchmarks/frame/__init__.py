"""The frame of `make bench`: cases, rounds, processes, verdicts, and what is told of them."""
