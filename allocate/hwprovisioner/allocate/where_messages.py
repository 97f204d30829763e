"""The messages that `where` expressions are about: a resource as they see it, and their own syntax.

Declared here and not in `protos`, because neither crosses a wire: the first is what the type check
of an expression knows, the second the part of CEL's own `cel.expr.CheckedExpr` that is read back.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

MAX_CARDS = 64
MAX_LABELS = 64
MAX_IMAGES = 256

Made: TypeAlias = Any
"""A message, or its class, that is made at run time, so that mypy cannot know its fields."""

RESOURCE = "hwprovisioner.where.Resource"

_RESOURCE_FIELDS = {
    "Resource": {
        "name": (1, "string"),
        "kind": (2, "string"),
        "cpus": (3, "int"),
        "memory": (4, "int"),
        "gpus": (5, "Gpu*"),
        "os": (6, "Os"),
        "labels": (7, "map"),
        "divisible": (8, "bool"),
        "instances": (9, "int"),
        "images": (10, "string*"),
    },
    "Gpu": {"brand": (1, "string"), "model": (2, "string"), "memory": (3, "int")},
    "Os": {"family": (1, "string"), "distro": (2, "string"), "version": (3, "string")},
}
# Maps are read as the lists of pairs that they are on the wire.
_SYNTAX_FIELDS = {
    "CheckedExpr": {
        "references": (2, "ReferencePair*"),
        "types": (3, "TypePair*"),
        "expr": (4, "Expr"),
        "source": (5, "Source"),
    },
    "ReferencePair": {"key": (1, "int"), "value": (2, "Reference")},
    "Reference": {"overloads": (3, "string*")},
    "TypePair": {"key": (1, "int"), "value": (2, "Type")},
    "Type": {"primitive": (3, "int")},
    "Source": {"positions": (4, "PositionPair*")},
    "PositionPair": {"key": (1, "int"), "value": (2, "int")},
    "Expr": {
        "id": (2, "int"),
        "const": (3, "Constant"),
        "ident": (4, "Ident"),
        "select": (5, "Select"),
        "call": (6, "Call"),
        "list": (7, "List"),
        "struct": (8, "Struct"),
        "loop": (9, "Loop"),
    },
    "Constant": {"string": (6, "string")},
    "Ident": {"name": (1, "string")},
    "Select": {"operand": (1, "Expr"), "field": (2, "string")},
    "Call": {"target": (1, "Expr"), "function": (2, "string"), "args": (3, "Expr*")},
    "List": {"elements": (1, "Expr*")},
    "Struct": {"message": (1, "string"), "entries": (2, "Entry*")},
    "Entry": {"map_key": (3, "Expr"), "value": (4, "Expr")},
    "Loop": {
        "variable": (1, "string"),
        "range": (2, "Expr"),
        "start": (4, "Expr"),
        "condition": (5, "Expr"),
        "step": (6, "Expr"),
        "result": (7, "Expr"),
    },
}
_SCALARS = {
    "int": FieldDescriptorProto.TYPE_INT64,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bool": FieldDescriptorProto.TYPE_BOOL,
}


def _add_field(message: DescriptorProto, package: str, name: str, number: int, kind: str) -> None:
    field = message.field.add(name=name, number=number)
    if kind == "map":
        pair = message.nested_type.add(name=f"{name.capitalize()}Entry")
        pair.options.map_entry = True
        _add_field(pair, package, "key", 1, "string")
        _add_field(pair, package, "value", 2, "string")
        kind = f"{message.name}.{pair.name}*"
    many = kind.endswith("*")
    field.label = (
        FieldDescriptorProto.LABEL_REPEATED if many else FieldDescriptorProto.LABEL_OPTIONAL
    )
    kind = kind.rstrip("*")
    field.type = _SCALARS.get(kind, FieldDescriptorProto.TYPE_MESSAGE)
    if kind not in _SCALARS:
        field.type_name = f".{package}.{kind}"


def _pool(package: str, messages: Mapping[str, Mapping[str, tuple[int, str]]]) -> DescriptorPool:
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, package, field, number, kind)
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _message_class(pool: DescriptorPool, name: str) -> Made:
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


RESOURCE_POOL = _pool("hwprovisioner.where", _RESOURCE_FIELDS)
Resource = _message_class(RESOURCE_POOL, RESOURCE)
CheckedExpr = _message_class(_pool("cel.expr", _SYNTAX_FIELDS), "cel.expr.CheckedExpr")


def fields_of(message: str) -> tuple[str, ...]:
    """Return the names of the fields of `Resource`, `Gpu` or `Os`."""
    return tuple(_RESOURCE_FIELDS[message])
