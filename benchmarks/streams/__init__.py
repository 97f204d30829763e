"""Open streams: what they cost while nothing happens, and how soon all are told something."""
