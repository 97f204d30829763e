"""The Allocate service: brings demands and resources together.

Pure decisions: `notation.py`, `demand.py`, `matching.py`, `room.py`, `placement.py`, `plan.py`,
`explain.py`. What keeps them up
to date and carries them out: `lab.py`, `scheduler.py`, `expiry.py`. What speaks the protocol:
`requests.py`, `codec.py`, `updates.py`, `manager_stream.py`, `servicer.py`.
"""
