"""What every driver promises, as tests that any driver can be put to.

    pytest --pyargs hwprovisioner.resourcemanager.conformance --driver NAME

runs them on a real entry of a resources file (`--resources`, `--resource`). What is tested, and how
a driver is written, is told in docs/drivers/writing.md.
"""
