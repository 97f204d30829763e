"""What the garbage collector leaves alone."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from hwprovisioner.allocate import garbage
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.state.view import View


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Collects when it is told to only, and is as it was afterwards."""
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def test_what_a_view_is_made_of_is_left_alone_while_it_is_followed() -> None:
    gc.collect()
    garbage.leave_alone(is_following=True)
    assert len(gc.get_objects()) < gc.get_freeze_count()
    garbage.leave_alone(is_following=False)
    assert gc.get_freeze_count() == 0


def test_a_lab_that_is_loaded_anew_leaves_nothing_of_the_old_one_behind() -> None:
    view = View()
    lab = Lab(view)
    old = weakref.ref(lab.planner.classes)
    garbage.leave_alone(is_following=True)
    assert old() is not None
    garbage.leave_alone(is_following=False)
    view.load(1, [])
    garbage.leave_alone(is_following=True)
    assert old() is None
