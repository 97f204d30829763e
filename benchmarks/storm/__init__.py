"""Everybody comes back in the same second: see `__main__`."""
