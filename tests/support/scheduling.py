"""Demands and specs as they are stored, and what is wished for in a lab."""

import json
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf import json_format

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.planning.wish import Wish
from hwprovisioner.allocate.set_demands import read_set
from hwprovisioner.allocate.specs import to_json
from hwprovisioner.v1.demand_pb2 import Demands


def spec_text(
    cpus: int = 8,
    gpus: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    instances: int = 0,
) -> str:
    """Return the stored spec of a machine; divisible with `instances`."""
    spec: dict[str, object] = {"cpus": str(cpus), "labels": dict(labels or {})}
    spec["gpus"] = [{"model": model} for model in gpus]
    if instances:
        spec["division"] = {"instances": instances}
    return json.dumps(spec)


def demands_text(
    relations: Sequence[tuple[str, str, Sequence[str]]] = (), **hosts: Mapping[str, object]
) -> str:
    """Return the stored text of demands that are in order."""
    related = [
        {"kind": f"RELATION_KIND_{kind}", "label": label, "hosts": list(names)}
        for kind, label, names in relations
    ]
    demands = Demands()
    json_format.ParseDict({"hosts": hosts, "relations": related}, demands)
    read_set(demands)
    return to_json(demands)


def open_wishes(lab: Lab) -> Iterator[Wish]:
    """Return what each queued request looks for among what is open and nobody else keeps."""
    now_ms = lab.clock.now_ms()
    for request in lab.planner.queue.in_order():
        yield Wish(
            request.asked,
            request.excluded,
            now_ms=now_ms,
            ends_ms=request.ends_ms(now_ms),
        )
