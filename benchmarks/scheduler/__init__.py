"""What a decision of the scheduler costs, on simulated labs: `make bench-scheduler`.

Times on a shared machine mean little alone. So what is compared is measured in turns, a few
decisions of each, and what counts is the median. Labs are made from a seed.
"""
