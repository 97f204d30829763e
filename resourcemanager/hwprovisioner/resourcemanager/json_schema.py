"""The JSON Schema of resources files: what editors complete and underline."""

from __future__ import annotations

import logging
from typing import Any

from hwprovisioner.resourcemanager.errors import DriverNotUsable
from hwprovisioner.resourcemanager.loading import known_drivers, load_driver
from hwprovisioner.resourcemanager.schema import FileSection

_log = logging.getLogger(__name__)


def json_schema() -> dict[str, Any]:
    """Return the schema, with the options of every driver that is installed."""
    schema = FileSection.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "resources.yml of hardware-provisioner"
    definitions = schema["$defs"]
    branches = [_branch(name, options, definitions) for name, options in sorted(_options().items())]
    for form in ("StaticSection", "DynamicSection"):
        definitions[form]["properties"]["driver"] = {
            "type": "string",
            "enum": sorted(known_drivers()),
        }
        definitions[form]["allOf"] = branches
    return schema


def _options() -> dict[str, dict[str, Any]]:
    found = {}
    for name in known_drivers():
        try:
            found[name] = load_driver(name).Options.model_json_schema(
                ref_template=f"#/$defs/{name}.{{model}}"
            )
        except DriverNotUsable as error:
            _log.warning("%s; its options are not in the schema", error)
    return found


def _branch(name: str, options: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return what holds for one driver; its models go to the definitions under its name."""
    for model, definition in options.pop("$defs", {}).items():
        definitions[f"{name}.{model}"] = definition
    return {
        "if": {"properties": {"driver": {"const": name}}, "required": ["driver"]},
        "then": {"properties": {"options": options}},
    }
