"""Why nothing that is registered could ever serve a host. Pure, and counted by shape."""

from collections import Counter
from collections.abc import Iterator, Sequence

from hwprovisioner.allocate.matching import mismatch, name_mismatch, why_not
from hwprovisioner.allocate.planning.asked import HostClass, RequestClass
from hwprovisioner.allocate.planning.inventory import Inventory, Shape, bits
from hwprovisioner.allocate.telling.reasons import counted

_NAMES = 1_000
"""Where it matters what resources are called, the reasons of so many are told."""


def why_never(asked: RequestClass, inventory: Inventory) -> dict[str, str]:
    """Return for each host that nothing could ever serve the reasons why, counted.

    Empty if each host alone could be served: then they cannot all be at once.
    """
    if not len(inventory):
        nothing = "no resource is registered: is a resource manager connected?"
        return dict.fromkeys(asked.hosts, nothing)
    told: dict[Sequence[HostClass], str] = {}
    for options in asked.hosts.values():
        if options not in told:
            is_served = any(_serves(option, inventory) for option in options)
            told[options] = "" if is_served else _why_none(options, inventory)
    return {host: told[options] for host, options in asked.hosts.items() if told[options]}


def _serves(option: HostClass, inventory: Inventory) -> bool:
    """Say whether something could serve an option, were it free and in service."""
    if name := option.option.resource:
        return name in inventory and not _why_not_named(option, inventory)
    if not option.by_name:
        return bool(option.shapes)
    shapes = (inventory.shapes[index] for index in bits(option.shapes))
    return any(option.admits(name, shape) for shape in shapes for name in shape.names)


def _why_none(options: Sequence[HostClass], inventory: Inventory) -> str:
    reasons = [_why_not_named(each, inventory) for each in options if each.option.resource]
    if others := [each for each in options if not each.option.resource]:
        found = Counter[str]()
        names_left = iter(range(_NAMES))
        for shape in inventory.shapes:
            found.update(_reasons(others, shape, names_left))
        count = len(inventory)
        none = f"none of {count} resources fits" if count > 1 else "the only resource does not fit"
        reasons.append(f"{none}: {counted(found)}")
    return "; or ".join(dict.fromkeys(reasons))


def _why_not_named(option: HostClass, inventory: Inventory) -> str:
    name = option.option.resource
    if name not in inventory:
        return f"no resource is called {name}"
    reason = why_not(option.option, inventory.shape_of(name).spec, name)
    return reason and f"{name}: {reason}"


def _reasons(
    options: Sequence[HostClass], shape: Shape, names_left: Iterator[int]
) -> dict[str, int]:
    """Return why none of the resources of a shape will do, with how many there are of each."""
    fitting = [each.option for each in options if each.shapes & 1 << shape.index]
    if not fitting:
        said = dict.fromkeys(mismatch(each.option, shape.spec) for each in options)
        return {"; or ".join(said): len(shape.names)} if shape.names else {}
    return Counter(
        "; or ".join(dict.fromkeys(name_mismatch(each, shape.spec, name) for each in fitting))
        for name, _ in zip(shape.names, names_left, strict=False)
    )
