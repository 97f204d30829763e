"""From the demands of a scenario, written as `hwp --file` takes them, to what planning sees."""

import re
from collections.abc import Mapping

from google.protobuf import json_format

from hwprovisioner.allocate.demand import SetDemand
from hwprovisioner.allocate.set_demands import read_set
from hwprovisioner.allocate.simulate.form import Form
from hwprovisioner.allocate.specs import KIND_NAMES, to_json
from hwprovisioner.serving import Refused
from hwprovisioner.serving.located import Data
from hwprovisioner.serving.problems import quote, suggest
from hwprovisioner.v1 import demand_pb2

LONE_HOST = "host"
HOST_KEYS = (
    *("kind", "kinds", "cpus", "memory", "gpus", "os", "labels", "resource", "not_resources"),
    *("where", "provisioning", "count", "any_of"),
)
RELATION_KEYS = ("same", "different")
KIND_ALIASES = {
    **{"vm": "virtual-machine", "physical": "physical-server", "server": "physical-server"},
    **{"edge": "edge-device", "device": "edge-device", "cloud": "cloud-instance"},
}
_FAMILIES = ("linux", "windows", "macos", "darwin")
_FIELD = re.compile(r"demands\.hosts\['([^']*)'\](?:\.([a-z_]+))?")

_Json = dict[str, object]


class BadForm(ValueError):
    """What is written has not the form of demands."""


def read_demands(stream: Form) -> tuple[str, SetDemand]:
    """Read what a stream asks for, and note what is wrong with it.

    Returns:
        The demands as they would be stored, and as planning sees them.
    """
    hosts = {key: value for key, value in _hosts(stream).items() if key not in RELATION_KEYS}
    try:
        message = json_format.ParseDict(
            {
                "hosts": {name: _host(name, data) for name, data in hosts.items()},
                "relations": _relations(stream.section("demands")),
            },
            demand_pb2.Demands(),
        )
        return to_json(message), read_set(message)
    except (BadForm, json_format.ParseError) as error:
        stream.fault("demands", str(error))
    except Refused as refused:
        _note(stream, refused, is_lone=LONE_HOST not in stream.section("demands"))
    return "", SetDemand({})


def _hosts(stream: Form) -> Mapping[str, Data]:
    """Return the hosts by name; the keys of one host alone are those of `host`."""
    demands = stream.section("demands")
    said = {key: demands.part(key) for key in demands}
    keys = [key for key in said if key not in RELATION_KEYS]
    if any(key in HOST_KEYS for key in keys) or not keys:
        return {LONE_HOST: {key: said[key] for key in keys}}
    return said


def _note(stream: Form, refused: Refused, *, is_lone: bool) -> None:
    for field, description in refused.violations:
        path: tuple[str, ...] = ("demands",)
        if match := _FIELD.match(field):
            within = () if is_lone and match[1] == LONE_HOST else (match[1],)
            path = (*path, *within, *((match[2],) if match[2] else ()))
        stream.fault_at(path, f"{field}: {description}")


def _host(name: str, data: Data) -> _Json:
    if not isinstance(data, dict):
        raise BadForm(
            f"host {quote(name)} should be a mapping such as {{cpus: 8}}, is {quote(data)};"
            f" for the keys of one host{suggest(name, HOST_KEYS)}"
        )
    found: _Json = {}
    for key, value in data.items():
        if key not in HOST_KEYS:
            raise BadForm(
                f"unknown key {quote(key)} of host {quote(name)}{suggest(key, HOST_KEYS)}"
            )
        found["kinds" if key == "kind" else key] = _value(name, key, value)
    return found


def _value(name: str, key: str, value: Data) -> object:
    match key:
        case "kind" | "kinds":
            return [kind_value(each) for each in _list(value)]
        case "gpus":
            return [_cards(each) for each in _list(value)]
        case "os":
            return _os(value)
        case "labels":
            return labels_of(value)
        case "not_resources":
            return _list(value)
        case "any_of":
            return [_host(f"{name}.any_of", each) for each in _list(value)]
        case "count":
            return whole(value)
        case _:
            return value


def kind_value(data: Data) -> str:
    """Return the contract's name of a kind of resource.

    Raises:
        BadForm: there is no such kind.
    """
    word = data.lower().replace("_", "-") if isinstance(data, str) else ""
    word = KIND_ALIASES.get(word, word)
    if word not in KIND_NAMES.values():
        known = (*KIND_NAMES.values(), *KIND_ALIASES)
        raise BadForm(f"kind {quote(data)} is not known{suggest(word, known)}")
    return f"RESOURCE_KIND_{word.upper().replace('-', '_')}"


def labels_of(data: Data) -> list[str]:
    """Return labels, written as a list or as a mapping, each as ``name`` or ``name=value``."""
    if isinstance(data, dict):
        return [f"{name}={value}" if value else name for name, value in data.items()]
    return [str(each) for each in _list(data)]


def whole(data: Data) -> int:
    """Return a whole number.

    Raises:
        BadForm: it is none.
    """
    if isinstance(data, str) and re.fullmatch(r"[0-9]{1,9}", data):
        return int(data)
    raise BadForm(f"{quote(data)} should be a whole number")


def _cards(data: Data) -> _Json:
    """Return cards of one sort: how many, a model, or a mapping."""
    if isinstance(data, dict):
        return {key: whole(value) if key == "count" else value for key, value in data.items()}
    return {"count": int(data)} if isinstance(data, str) and data.isdecimal() else {"model": data}


def _os(data: Data) -> object:
    if not isinstance(data, str):
        return data
    name, _, version = data.strip().partition(" ")
    return {"family" if name.lower() in _FAMILIES else "distro": name, "version": version.strip()}


def _list(data: Data) -> list[Data]:
    return data if isinstance(data, list) else [data]


def _relations(demands: Form) -> list[_Json]:
    found: list[_Json] = []
    for key in RELATION_KEYS:
        for label, hosts in _labels_and_hosts(demands.part(key)):
            kind = f"RELATION_KIND_{key.upper()}"
            found.append({"kind": kind, "label": label, "hosts": hosts})
    return found


def _labels_and_hosts(data: Data) -> list[tuple[str, list[Data]]]:
    if not isinstance(data, dict):
        return [(str(label), []) for label in _list(data) if label is not None]
    found: list[tuple[str, list[Data]]] = []
    for label, hosts in data.items():
        groups = _list(hosts)
        if any(isinstance(each, list) for each in groups):
            found += [(label, _list(group)) for group in groups]
        else:
            found.append((label, [] if hosts == "all" else groups))
    return found
