"""The Allocate service: brings demands and resources together.

What is asked for and what there is: `notation.py`, `demand.py`, `set_demands.py`, `specs.py`,
`matching.py`, `where.py`. Who may have how much: `policy.py`, `quota.py`. Who gets what:
`planning`, pure. What keeps it up to date and carries it out: `lab.py`, `scheduler.py`,
`expiry.py`. What tells people why they wait: `telling`. What speaks the protocol: `intake.py`,
`codec.py`, `updates.py`, `manager_stream.py`, `servicer.py`. What tries a lab out before it exists:
`simulate`.
"""
