"""Runs the lab's own planning over a described lab and day in virtual time, and judges it."""
