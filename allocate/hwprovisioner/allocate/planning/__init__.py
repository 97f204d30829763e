"""Who gets what: decided without I/O and without a clock, see docs/scheduling.md."""
