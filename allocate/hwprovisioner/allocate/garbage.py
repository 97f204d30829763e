"""What the garbage collector leaves alone: a view, and the lab that is made of it.

Nearly all of them lives as long as the process, and the rest goes by its reference counts. Of
100,000 resources and requests they are half a million objects: looking at them takes a third of a
second in which nothing else is done, and doing so again and again while they are made a third of
the time that takes.
"""

import gc

_YOUNG = 50_000
"""So many new objects are looked at together, which takes some ms."""


def expect_many() -> None:
    """Look for garbage in this process as is right where very many objects stay."""
    gc.set_threshold(_YOUNG)


def leave_alone(is_following: bool) -> None:
    """Leave alone what there is, once a view is loaded; a listener for `Follower.listen`."""
    if not is_following:
        gc.unfreeze()
        return
    if not gc.get_freeze_count():
        # A lab that this one replaces is in cycles. A service that starts has none, and modules
        # that are left alone already.
        gc.collect()
    gc.freeze()
