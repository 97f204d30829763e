"""Keeping leases alive: one by one, and many in a call."""
