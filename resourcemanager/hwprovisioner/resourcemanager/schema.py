"""The form of resources.yml, as pydantic models.

They see every scalar as the text in the file (located.py), so they also say how to read it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from hwprovisioner.resourcemanager.model import Kind
from hwprovisioner.resourcemanager.units import parse_size, parse_span
from hwprovisioner.serving.problems import suggest

#: More cards than any machine has.
MOST_GPUS = 64
#: As the lab takes them.
MOST_LABELS = 64
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,62}[A-Za-z0-9])?")

#: What people call the kinds, beside their names.
KIND_WORDS = {kind.value: kind for kind in Kind} | {
    "vm": Kind.VIRTUAL_MACHINE,
    "virtual": Kind.VIRTUAL_MACHINE,
    "physical": Kind.PHYSICAL_SERVER,
    "server": Kind.PHYSICAL_SERVER,
    "edge": Kind.EDGE_DEVICE,
    "device": Kind.EDGE_DEVICE,
    "cloud": Kind.CLOUD_INSTANCE,
}


def _kind(value: object) -> object:
    if not isinstance(value, str):
        return value
    word = value.strip().lower().replace("_", "-")
    if word not in KIND_WORDS:
        raise ValueError(f"{value!r} is no kind of resource{suggest(word, KIND_WORDS)}")
    return KIND_WORDS[word]


def _size(value: object) -> object:
    return parse_size(value) if isinstance(value, str) else value


def _span(value: object) -> object:
    return parse_span(value) if isinstance(value, str) else value


def _labels(value: object) -> object:
    if not isinstance(value, list):
        return {} if value is None else _words(value)
    labels: dict[str, str] = {}
    for item in value:
        if not isinstance(item, str) or not item.partition("=")[0].strip():
            raise ValueError("each label should be written `name` or `name=value`")
        name, _, text = item.partition("=")
        if name.strip() in labels:
            raise ValueError(f"label {name.strip()!r} is there twice")
        labels[name.strip()] = text.strip()
    return labels


def _label_name(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise ValueError("a label's name should be 1 to 64 of A-Z a-z 0-9 . _ / -")
    return name


def _words(value: object) -> object:
    """Return a mapping with its empty values as empty words."""
    if isinstance(value, dict):
        return {name: "" if text is None else text for name, text in value.items()}
    return value


_PLAIN: dict[str, Any] = {"type": ["string", "number", "boolean"]}

Text = Annotated[str, Field(max_length=1024), WithJsonSchema(_PLAIN)]
#: What is compared with demands; the lab takes no longer ones.
Word = Annotated[str, Field(max_length=128), WithJsonSchema(_PLAIN)]
Whole = Annotated[int, Field(ge=1, le=1_000_000)]
Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(ge=1),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["8GiB", "512Mi", "8G"]}),
]
Span = Annotated[
    float,
    BeforeValidator(_span),
    WithJsonSchema({"type": ["string", "number"], "examples": ["30s", "10m", "1h"]}),
]
Labels = Annotated[
    dict[Annotated[str, AfterValidator(_label_name)], Word],
    BeforeValidator(_labels),
    Field(max_length=MOST_LABELS),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "array", "items": _PLAIN, "maxItems": MOST_LABELS},
                {"type": "object", "additionalProperties": {"type": [*_PLAIN["type"], "null"]}},
            ]
        }
    ),
]
KindWord = Annotated[Kind, BeforeValidator(_kind), WithJsonSchema({"enum": sorted(KIND_WORDS)})]


class Section(BaseModel):
    """A mapping in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GpuSection(Section):
    """Cards of one sort."""

    brand: Word = ""
    model: Word = ""
    memory: Size | None = None
    count: Annotated[int, Field(ge=1, le=MOST_GPUS)] = 1


class OsSection(Section):
    """An operating system."""

    family: Word = ""
    distro: Word = ""
    version: Word = ""


class DeclaredOsSection(OsSection):
    """An operating system that is there already."""

    kernel: Word = ""


class AccessSection(Section):
    """How a resource is reached."""

    host: Text = ""
    ip: Text = ""
    user: Text = ""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    key_file: Text = ""
    host_key: Annotated[str, Field(max_length=16_384)] = ""
    known_hosts: Text = ""
    ephemeral: bool = False

    @model_validator(mode="after")
    def _one_address(self) -> AccessSection:
        if bool(self.host) == bool(self.ip):
            raise ValueError("needs one of `host` and `ip`, not both")
        if self.host_key and self.known_hosts:
            raise ValueError("takes `host_key` or `known_hosts`, not both")
        return self


class TimeLimitsSection(Section):
    """How long each call of the driver may take."""

    ready_up: Span | None = None
    tear_down: Span | None = None
    clean: Span | None = None
    check: Span | None = None


class CareSection(Section):
    """How far to go before a person is needed."""

    clean_tries: Annotated[int, Field(ge=1, le=1_000)] = 10
    clean_within: Span = 3600.0
    repair_tries: Annotated[int, Field(ge=0, le=100)] = 2
    facts_every: Span = 600.0


class ResourceSection(Section):
    """What static and dynamic resources have in common."""

    driver: Word
    kind: KindWord | None = None
    os: DeclaredOsSection | None = None
    labels: Labels = Field(default_factory=dict)
    access: AccessSection | None = None
    #: Checked by the driver's own model.
    options: dict[str, Any] = Field(default_factory=dict)
    time_limits: TimeLimitsSection = TimeLimitsSection()
    check_every: Span = 30.0
    care: CareSection = CareSection()


class StaticSection(ResourceSection):
    """A resource that is lent whole."""

    cpu: Whole | None = None
    mem: Size | None = None
    gpus: list[GpuSection] | None = None


class LimitsSection(Section):
    """What all shares of a dynamic resource may have together."""

    cpu: Whole | None = None
    mem: Size | None = None
    gpus: list[GpuSection] | None = None
    instances: Annotated[int, Field(ge=1, le=10_000)]


class DefaultSection(Section):
    """What a share has when its demand does not say."""

    cpu: Whole | None = None
    mem: Size | None = None


class PoolSection(Section):
    """What is made before anyone asks."""

    min: Annotated[int, Field(ge=0, le=10_000)] = 1
    max: Annotated[int, Field(ge=1, le=10_000)] | None = None
    idle: Span = 600.0
    image: Word = ""
    cpu: Whole | None = None
    mem: Size | None = None
    disk: Size | None = None

    @model_validator(mode="after")
    def _in_order(self) -> PoolSection:
        if self.max is None and self.min == 0:
            raise ValueError("with `min: 0` needs a `max`, or it is always empty")
        if self.max is not None and self.min > self.max:
            raise ValueError(f"has a `min` of {self.min}, more than its `max` of {self.max}")
        return self


class DynamicSection(ResourceSection):
    """A resource that is lent in shares."""

    limits: LimitsSection
    default: DefaultSection = DefaultSection()
    pool: PoolSection | None = None


class ResourcesSection(Section):
    """All resources of the file."""

    static: dict[str, StaticSection] | None = None
    dynamic: dict[str, DynamicSection] | None = None


class ManagerSection(Section):
    """The manager itself."""

    id: Text | None = None


class FileSection(Section):
    """The whole file."""

    manager: ManagerSection | None = None
    resources: ResourcesSection
