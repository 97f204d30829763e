"""The whole suite on one machine: `hwp up`.

Starts an embedded server for state, allocate, heartbeat and a resource manager as child processes,
watches over them, and stops them in order: `command` is the command line, `up` the program behind
it. Nothing is imported here, as `hwp --help` loads `command`, which must cost nothing.
"""
