"""A policy file with every key in it."""

JETSON = ("jetson", None)
RACK = ("rack", "a1")
HOUR_MS = 3_600_000
WHOLE = """
fair_share:
  half_life: 90m
max_duration:
  default: 8h
  limit: 7d
backfill: false
preemption:
  grace: 30s
  gap: 20
show_up: 5m
keep: {most: 30m}
operators: [eve, bob]
defaults:
  weight: 1.5
  priority: {min: -50, max: 50}
  quota: {allocations: 20, cpus: 64, gpus: 4, hosts: {jetson: 2, "rack=a1": 5}}
users:
  alice: {weight: 2, priority: {max: 80}, quota: {gpus: 8, hosts: {jetson: 3}}}
  bob:
teams:
  kernel: {members: [alice, carol], quota: {gpus: 12}}
  web: {members: [bob]}
"""
