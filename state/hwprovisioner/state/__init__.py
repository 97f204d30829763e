"""The lab's state in Redis: the only shared truth, one log, many views.

`keys.py` lists all keys, `tables.py` all state machines, `model.py` all records; ``lua/`` has one
script for each transition, which `allocations.py`, `holds.py`, `managers.py` and `care.py` call.
`view.py` and `follower.py` are how it is read.
"""
