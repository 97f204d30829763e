"""Fixtures of the checker's tests."""

import pytest

from support.histories import History


@pytest.fixture
def history() -> History:
    """An empty one."""
    return History()
