"""What simulated labs are made of: specs of resources and demands, from a seed."""

import random
from collections.abc import Callable

from hwprovisioner.allocate.demand import (
    Division,
    Gpu,
    GpuDemand,
    HostDemand,
    SetDemand,
    Spec,
    System,
)
from hwprovisioner.allocate.notation import Bounds

GIB = 1 << 30
SERVER = "physical-server"
BOARD = "embedded"
"""Of this kind are a few resources that nobody wants but those who ask for the kind."""

_MODELS = ("a100", "l4", "t4")
_FEATURES = 7
_RACKS = 20


def specs(count: int, shared_percent: int = 0, seed: int = 1) -> list[Spec]:
    """Return as many different specs: servers with labels, a third with cards, some shared."""
    draw = random.Random(seed)
    return [_spec(index, shared_percent, draw) for index in range(count)]


def _spec(index: int, shared_percent: int, draw: random.Random) -> Spec:
    cpus = draw.choice([4, 8, 16, 32, 64])
    memory = draw.choice([8, 16, 32, 64]) * GIB
    model = draw.choice(_MODELS)
    cards = draw.choice([0, 0, 0, 0, 1, 2])
    # The asset label makes each spec one of its own however many there are.
    labels = {("rack", f"r{index % _RACKS}"), (f"x{index % _FEATURES}", ""), ("lot", str(index))}
    return Spec(
        kind=SERVER,
        cpus=cpus,
        memory=memory,
        gpus=tuple(Gpu("nvidia", model, 16 * GIB) for _ in range(cards)),
        system=System("linux", "ubuntu", "22.04"),
        labels=frozenset(labels),
        division=Division(4, 1, GIB) if index % 100 < shared_percent else None,
    )


BOARD_SPEC = Spec(kind=BOARD, cpus=4, memory=4 * GIB)


def plain(number: int, seed: int = 1) -> SetDemand:
    """Return the demand of one host of a number: processors, memory, labels, cards, `where`."""
    return SetDemand({"host": host_demand(number, seed)})


def host_demand(number: int, seed: int = 1) -> HostDemand:
    """Return a demand that differs from that of any other number."""
    draw = random.Random(f"{seed}.{number}")
    where = ""
    if draw.random() < 0.1:
        where = f'resource.cpus * 2 >= {draw.choice([8, 16, 32])} && !("x6" in resource.labels)'
    return HostDemand(
        kinds=frozenset({SERVER}),
        cpus=Bounds(draw.choice([2, 4, 8, 16])),
        memory=Bounds(GIB + number),
        gpus=(GpuDemand("", draw.choice([*_MODELS, ""])),) if draw.random() < 0.2 else (),
        labels=((f"x{draw.randrange(_FEATURES)}", None),) if draw.random() < 0.5 else (),
        where=where,
    )


def set_of(hosts: int, number: int = 0) -> SetDemand:
    """Return a set of so many hosts of four sorts."""
    sorts = [
        HostDemand(kinds=frozenset({SERVER}), cpus=Bounds(cpus), memory=Bounds(GIB + number))
        for cpus in (2, 4, 6, 8)
    ]
    return SetDemand({f"host-{nth}": sorts[nth % len(sorts)] for nth in range(hosts)})


BOARD_DEMAND = SetDemand({"host": HostDemand(kinds=frozenset({BOARD}))})

Demands = Callable[[int], SetDemand]
"""Gives the demand of a number."""
