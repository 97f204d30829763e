"""What there is and what is free of it, by shape: the index that makes a decision cheap.

Resources of equal spec share a `Shape`. Sets of shapes are bits of one integer, so that "which
shapes that match have something open" is one operation on machine words, whatever the size of the
lab. Everything here costs by what changes, never by how much there is.
"""

import functools
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from sortedcontainers import SortedList

from hwprovisioner.allocate.demand import HostDemand, Spec
from hwprovisioner.allocate.room import Room, Share


def bits(mask: int) -> Iterator[int]:
    """Return the places of the bits that are set, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@dataclass(frozen=True, slots=True)
class Held:
    """What a hold has of a resource, and until when at the latest."""

    share: Share
    until_ms: int
    """0 for as long as its holder likes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A resource as planning sees it. Equal ones are one object wherever they are made."""

    room: Room
    closed: str = ""
    """Why nothing of it can be granted now, whatever is free; empty if something can."""
    can_open: bool = True
    """Whether it can be granted again by itself, without a person or a manager that comes back."""


@dataclass(slots=True, eq=False)
class Shape:
    """All resources of one spec."""

    index: int
    spec: Spec
    names: dict[str, None] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    """Those that cannot be granted until somebody acts."""
    closed: Counter[str] = field(default_factory=Counter)
    """Why nothing of some can be granted now, with how many there are of each."""
    free: dict[str, None] = field(default_factory=dict)
    """Of an exclusive spec: the open and free ones, longest free first."""
    roomy: "SortedList[tuple[int, str]]" = field(default_factory=SortedList)
    """Of a divisible spec: (cpus free, name) of the open ones with an instance left."""
    ends: "SortedList[tuple[int, str]]" = field(default_factory=SortedList)
    """(ms, name): when what is in use is free again at the latest, where that is known."""
    matches: int = 0
    """The bits of the request classes that it matches."""
    awaited: int = 0
    """The bits of those of them that one more of it may help."""
    whole: Share | None = None
    """Of an exclusive spec: what a hold has of one, which is all."""
    taken: Standing | None = None
    """And how one stands that is in use."""
    plainness: tuple[int, int, int, int, str] = (0, 0, 0, 0, "")
    """The plainer, the lower: a plain demand leaves special and large machines alone."""

    def __post_init__(self) -> None:
        spec = self.spec
        # Among equals the words decide, so that it does not matter what came first.
        words = f"{spec.kind} {sorted(spec.labels)}"
        self.plainness = len(spec.gpus), len(spec.labels), spec.cpus, spec.memory, words
        if spec.division is None:
            room = Room.whole(spec)
            self.whole = room.share_for(HostDemand())
            self.taken = Standing(room.without(self.whole)) if self.whole else None


class Inventory:
    """The resources of a lab."""

    def __init__(self, on_shape: Callable[[Shape, bool], None]) -> None:
        """Begin with none; `on_shape` is told of each shape that comes (true) or goes (false)."""
        self._on_shape = on_shape
        self._unused: list[int] = []
        self.shapes: list[Shape] = []
        self.open = 0
        """The bits of the shapes of which something is open."""
        self.divisible = 0
        """The bits of the shapes that are shared out."""
        self.by_label: dict[str, dict[str, int]] = {}
        """By label and value, the bits of the shapes that have it."""
        self.version = 0
        """One more when there is another resource, or one fewer, or one comes or goes."""
        self.registered = 0
        """One more when there is another resource, or one fewer."""
        self.losses = 0
        """One more when there is one fewer, or one has become something else."""
        self._shape_of: dict[str, Shape] = {}
        self._standings: dict[str, Standing] = {}
        self._by_spec: dict[Spec, Shape] = {}
        self._ends: dict[str, int] = {}
        self._open: set[str] = set()
        self.is_open: Callable[[str], bool] = self._open.__contains__
        """Says whether something of a resource can be granted."""

    def __len__(self) -> int:
        return len(self._standings)

    def __contains__(self, name: object) -> bool:
        return name in self._standings

    def names(self) -> Iterator[str]:
        """Return the names of all resources."""
        return iter(self._standings)

    def standing(self, name: str) -> Standing:
        """Return a resource as it is."""
        return self._standings[name]

    def get(self, name: str) -> Standing | None:
        """Return a resource as it is, None if there is none of that name."""
        return self._standings.get(name)

    def shape_of(self, name: str) -> Shape:
        """Return the shape of a resource."""
        return self._shape_of[name]

    def shapes_of(self, names: Iterable[str]) -> int:
        """Return the bits of the shapes of some resources."""
        found = 0
        for name in names:
            found |= 1 << self._shape_of[name].index
        return found

    def put(self, name: str, standing: Standing | None, ends_ms: int = 0) -> None:
        """Take in how a resource is now, None if there is none any longer.

        Args:
            name: of the resource.
            standing: as it is.
            ends_ms: when all that it is used for has ended at the latest; 0 if nobody knows, or
                nothing uses it.
        """
        before = self._standings.get(name)
        if before is not None and (standing is None or not _is_alike(before, standing)):
            self._forget(name, before)
            before = None
        if standing is None:
            return
        if before is None:
            self._introduce(name, standing.room.spec)
        elif self.is_open(name):
            self.shut(name)
        self._standings[name] = standing
        if (
            before is None
            or before.closed != standing.closed
            or before.can_open != standing.can_open
        ):
            self._note_closed(name, before, standing)
        if ends_ms != self._ends.get(name, 0):
            self._note_end(name, ends_ms)
        if not standing.closed:
            self.open_up(name)

    def take(self, name: str, share: Share, ends_ms: int) -> None:
        """Take a share of a resource, until `ends_ms` at the latest (0: nobody knows)."""
        before, shape = self._standings[name], self._shape_of[name]
        if shape.taken is not None and not before.closed and before.can_open:
            self.shut(name)
            self._standings[name] = shape.taken
            if ends_ms != self._ends.get(name, 0):
                self._note_end(name, ends_ms)
            return
        is_unused = before.room.slots == before.room.spec.slots
        known = ends_ms if is_unused else self._ends.get(name, 0) and ends_ms
        latest = max(known, self._ends.get(name, 0)) if known else 0
        left = before.room.without(share)
        self.put(name, Standing(left, before.closed, before.can_open), latest)

    def open_up(self, name: str) -> None:
        """Let what is free of a resource be granted, if it may be."""
        standing, shape = self._standings[name], self._shape_of[name]
        if standing.closed or standing.room.slots < 1:
            return
        if shape.spec.division is None:
            shape.free[name] = None
        else:
            shape.roomy.add((standing.room.cpus, name))
        self._open.add(name)
        self.open |= 1 << shape.index

    def shut(self, name: str) -> None:
        """Let nothing of a resource be granted for now."""
        shape = self._shape_of[name]
        if shape.spec.division is None:
            shape.free.pop(name, None)
        else:
            shape.roomy.discard((self._standings[name].room.cpus, name))
        self._open.discard(name)
        if not (shape.free or shape.roomy):
            self.open &= ~(1 << shape.index)

    def ends_ms(self, name: str) -> int:
        """Return when all that a resource is used for has ended at the latest, 0 if unknown."""
        return self._ends.get(name, 0)

    def labelled(self, labels: Iterable[tuple[str, str | None]]) -> int:
        """Return the bits of the shapes that have some labels, each with its value or any (None).

        Without labels, of all, those that are not there any longer too.
        """
        found = (1 << len(self.shapes)) - 1
        for label, value in labels:
            values = self.by_label.get(label, {})
            of_any = values.values() if value is None else (values.get(value, 0),)
            found &= functools.reduce(operator.or_, of_any, 0)
        return found

    def _introduce(self, name: str, spec: Spec) -> None:
        shape = self._shape_of[name] = self._shape(spec)
        shape.names[name] = None
        self.registered += 1

    def _forget(self, name: str, before: Standing) -> None:
        shape = self._shape_of[name]
        self.shut(name)
        self._note_end(name, 0)
        self._note_closed(name, before, None)
        del shape.names[name], self._standings[name], self._shape_of[name]
        self.registered += 1
        self.losses += 1
        if not shape.names:
            self._remove(shape)

    def _note_closed(self, name: str, before: Standing | None, after: Standing | None) -> None:
        shape = self._shape_of[name]
        if before is not None and before.closed:
            shape.closed[before.closed] -= 1
            if not shape.closed[before.closed]:
                del shape.closed[before.closed]
        if after is not None and after.closed:
            shape.closed[after.closed] += 1
        if after is None or after.can_open:
            shape.away.discard(name)
        else:
            shape.away.add(name)
        if before is None or after is None or before.can_open != after.can_open:
            self.version += 1

    def _note_end(self, name: str, ends_ms: int) -> None:
        ends = self._shape_of[name].ends
        if known := self._ends.pop(name, 0):
            ends.discard((known, name))
        if ends_ms:
            self._ends[name] = ends_ms
            ends.add((ends_ms, name))

    def _shape(self, spec: Spec) -> Shape:
        shape = self._by_spec.get(spec)
        if shape is None:
            index = self._unused.pop() if self._unused else len(self.shapes)
            shape = self._by_spec[spec] = Shape(index, spec)
            self.shapes[index : index + 1] = [shape]
            if spec.division is not None:
                self.divisible |= 1 << index
            for label, value in spec.labels:
                values = self.by_label.setdefault(label, {})
                values[value] = values.get(value, 0) | 1 << index
            self._on_shape(shape, True)
        return shape

    def _remove(self, shape: Shape) -> None:
        del self._by_spec[shape.spec]
        self._unused.append(shape.index)
        self.divisible &= ~(1 << shape.index)
        for label, value in shape.spec.labels:
            values = self.by_label[label]
            values[value] &= ~(1 << shape.index)
            if not values[value]:
                del values[value]
        self._on_shape(shape, False)


def _is_alike(before: Standing, after: Standing) -> bool:
    """Say whether a resource is still what it was."""
    # Mostly it is the same object, and equality is dear.
    return before.room.spec is after.room.spec or before.room.spec == after.room.spec
