"""Benchmarks: ratios within one run, since times on shared machines mean nothing alone."""
