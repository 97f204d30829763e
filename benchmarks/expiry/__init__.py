"""How late leases end, by the clock of Redis."""
