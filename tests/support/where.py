"""A board for expressions of `where`, and why one is refused."""

import pytest

from hwprovisioner.allocate.demand import Gpu, Spec, System
from hwprovisioner.allocate.where import WhereError, compile_where

BOARD = Spec(
    kind="edge-device",
    cpus=8,
    memory=32 << 30,
    gpus=(Gpu("nvidia", "orin", 16 << 30), Gpu("nvidia", "orin", 8 << 30)),
    system=System("linux", "ubuntu", "22.04"),
    labels=frozenset({("rack", "a1"), ("slots", "3"), ("jetson", "")}),
)


def refusal(text: str) -> str:
    """Return why an expression is refused."""
    with pytest.raises(WhereError) as caught:
        compile_where(text)
    return str(caught.value)
