"""From the resources of a scenario, written as in `resources.yml`, to what planning sees."""

from collections.abc import Iterator

from google.protobuf import json_format

from hwprovisioner.allocate.notation import MAX_NUMBER
from hwprovisioner.allocate.simulate.demand_form import BadForm, kind_value, labels_of, whole
from hwprovisioner.allocate.simulate.form import Form, memory_of
from hwprovisioner.allocate.simulate.scenario import Machine
from hwprovisioner.allocate.specs import MAX_INSTANCES, check_spec, spec_text, stored_spec
from hwprovisioner.allocate.violations import NAME, Violations
from hwprovisioner.serving import Refused
from hwprovisioner.serving.located import Data
from hwprovisioner.serving.problems import quote
from hwprovisioner.v1 import resource_pb2

MOST_MACHINES = 100_000
_KEYS = (
    *("count", "kind", "cpu", "mem", "gpus", "os", "labels", "spread"),
    *("limits", "default", "prepare", "clean"),
)


def read_machines(resources: Form) -> tuple[Machine, ...]:
    """Read all groups of resources, and note what is wrong with them."""
    found: dict[str, Machine] = {}
    for name in resources:
        group = resources.section(name, *_KEYS)
        count = group.integer("count", 1, 1, MOST_MACHINES)
        if len(found) + count > MOST_MACHINES:
            group.fault("count", f"makes more than {MOST_MACHINES:,} resources")
            continue
        for machine in _machines(group, name, count):
            if machine.name in found:
                other = found[machine.name].group
                resources.fault(name, f"{quote(machine.name)} is in {other}, too", at_key=True)
            found[machine.name] = machine
    return tuple(found.values())


def _machines(group: Form, name: str, count: int) -> Iterator[Machine]:
    prepare_ms = group.duration_ms("prepare", 0, "0s", "1d")
    clean_ms = group.duration_ms("clean", 0, "0s", "1d")
    message = _message(group, name)
    texts: dict[tuple[str, ...], str] = {}
    spread = _spread(group)
    if message is None:
        return
    for number in range(count):
        values = tuple(choices[number % len(choices)] for choices in spread.values())
        if values not in texts:
            message.labels.update(zip(spread, values, strict=True))
            texts[values] = spec_text(message)
        called = name if count == 1 else f"{name}-{number + 1}"
        yield Machine(called, name, stored_spec(texts[values]), prepare_ms, clean_ms)


def _spread(group: Form) -> dict[str, list[str]]:
    """Return labels whose values are dealt out in turn."""
    found: dict[str, list[str]] = {}
    section = group.section("spread")
    for label in section:
        values = section.part(label)
        if isinstance(values, list) and values and all(isinstance(each, str) for each in values):
            found[label] = [str(each) for each in values]
        else:
            section.fault(label, f"should be a list of values, such as [a, b], is {quote(values)}")
    return found


def _message(group: Form, name: str) -> resource_pb2.ResourceSpec | None:
    if not NAME.fullmatch(name):
        group.fault_at((), f"{quote(name)} does not match {NAME.pattern}")
        return None
    try:
        message = json_format.ParseDict(_spec(group, name), resource_pb2.ResourceSpec())
    except (BadForm, json_format.ParseError) as error:
        group.fault_at((), str(error))
        return None
    violations = Violations()
    check_spec(name, message, violations)
    for label, values in _spread(group).items():
        for value in values:
            probe = resource_pb2.ResourceSpec(name=name, kind=message.kind, labels={label: value})
            check_spec(name, probe, violations)
    try:
        violations.check()
    except Refused as refused:
        for field, description in refused.violations:
            group.fault_at((), f"{field}: {description}")
        return None
    return message


def _spec(group: Form, name: str) -> dict[str, object]:
    is_divisible = "limits" in group
    limits = group.section("limits", "cpu", "mem", "gpus", "instances") if is_divisible else group
    for key in ("cpu", "mem", "gpus"):
        if is_divisible and key in group:
            group.fault(key, "what is shared out says so in `limits`: move it there", at_key=True)
    spec: dict[str, object] = {
        "name": name,
        "kind": kind_value(group.text("kind", "virtual-machine" if is_divisible else "physical")),
        "cpus": limits.integer("cpu", 0, 0, MAX_NUMBER),
        "memory_bytes": limits.memory("mem"),
        "gpus": [card for each in _list(limits.part("gpus")) for card in _cards(each)],
        "labels": dict(_pair(label) for label in labels_of(_list(group.part("labels")))),
    }
    if group.part("os") is not None:
        spec["os"] = group.part("os")
    if is_divisible:
        default = group.section("default", "cpu", "mem")
        limits.needs("instances", "10")
        spec["division"] = {
            "instances": limits.integer("instances", 1, 1, MAX_INSTANCES),
            "default_cpus": default.integer("cpu", 0, 0, MAX_NUMBER),
            "default_memory_bytes": default.memory("mem"),
        }
    return spec


def _pair(label: str) -> tuple[str, str]:
    name, _, value = label.partition("=")
    return name, value


def _cards(data: Data) -> list[dict[str, object]]:
    if not isinstance(data, dict):
        raise BadForm(
            f"gpus should be a list of {{brand, model, memory, count}}, has {quote(data)}"
        )
    card: dict[str, object] = {key: value for key, value in data.items() if key != "count"}
    if "memory" in data:
        card["memory_bytes"] = _bytes(card.pop("memory"))
    return [card] * whole(data.get("count", "1"))


def _bytes(data: object) -> int:
    found = memory_of(data) if isinstance(data, str) else None
    if found is None:
        raise BadForm(f"memory of a card should be an amount such as 16GiB, is {quote(data)}")
    return found


def _list(data: Data) -> list[Data]:
    if data is None:
        return []
    if isinstance(data, dict):
        return [data] if "model" in data or "brand" in data else list(labels_of(data))
    return data if isinstance(data, list) else [data]
