"""The commands of `hwp`, one module each.

Their modules import click and nothing else at the top: `hwp --help` loads all of them.
"""
