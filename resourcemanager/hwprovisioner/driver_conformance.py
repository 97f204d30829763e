"""Brings the conformance suite for drivers into a run of pytest that asks for it.

pytest knows the options of a package that is named by `--pyargs` only if a plugin has them. This
one is loaded in every test run of every environment, so it imports nothing of ours; the options are
in `resourcemanager/conformance/plugin.py`.
"""

from __future__ import annotations

import pytest

SUITE = "hwprovisioner.resourcemanager.conformance"


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Loads the suite's own plugin where the suite is to be run."""
    if any(word.startswith(SUITE) for word in args):
        early_config.pluginmanager.import_plugin(f"{SUITE}.plugin")
