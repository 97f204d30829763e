"""Whole runs of pytest with the plugin, in processes of their own."""

import pytest

from support.lab_in_thread import LabInThread

#: What else is installed here has no part in runs inside a test, and some takes long to load.
STRANGERS = ("anyio", "asyncio", "cacheprovider", "hypothesispytest", "valkey")
HEAD = "import pytest, time\n"
PLAIN = "def test_it(hardware): pass\n"


def run(
    pytester: pytest.Pytester, lab: LabInThread, source: str, *options: str
) -> pytest.RunResult:
    """Run pytest on a module that uses the lab."""
    pytester.makepyfile(test_it=HEAD + source)
    target = lab.lab.target
    flags = [f"--hw-allocate={target}", f"--hw-heartbeat={target}"]
    return pytester.runpytest_subprocess(*flags, *options, timeout=50)


def all_released(lab: LabInThread) -> bool:
    """Tell whether there was something, and all of it was given back."""
    found = lab.lab.allocations.values()
    return bool(found) and all(allocation.released.is_set() for allocation in found)
