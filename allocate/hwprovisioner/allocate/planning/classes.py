"""Matching classes: what is asked for, once for all requests that ask for the same.

Whether a shape matches is found out once for each class and shape, when either is new, and kept as
a bit. A pass over the queue never matches anything.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping

from hwprovisioner.allocate.demand import HostDemand, SetDemand
from hwprovisioner.allocate.matching import is_by_name, mismatch
from hwprovisioner.allocate.planning.asked import HostClass, RequestClass, shapes_of
from hwprovisioner.allocate.planning.inventory import Inventory, Shape, bits

_MATCHING_KEPT = 10_000
UNUSED_KEPT = 2_000
"""So many classes are remembered although no request of theirs is queued."""


class Classes:
    """The matching classes of a lab."""

    def __init__(self) -> None:
        """Begin with none."""
        self.inventory = Inventory(self._on_shape)
        self.queued = 0
        """The bits of the classes of which something is queued."""
        self.bounded = 0
        """Likewise, of something that says how long it lasts at most."""
        self.lacking = 0
        """The bits of the classes of sets of which one more resource makes no set whole."""
        self._version = 0
        self._matching: dict[int, int] = {}
        """By shapes, the classes that match one of them, as of a version."""
        self._matching_at = 0
        self._by_key: dict[str, RequestClass] = {}
        self._by_bit: dict[int, RequestClass] = {}
        self._hosts: dict[HostDemand, HostClass] = {}
        self._unused: OrderedDict[str, RequestClass] = OrderedDict()
        self._places: list[int] = []
        self._named: dict[str, int] = {}
        self._by_cpus: dict[int, int] = {}
        """By the fewest processors that one of their hosts may do with, the classes."""

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str, demand: SetDemand) -> RequestClass:
        """Return the class of what is asked for; equal keys must mean equal demands."""
        found = self._by_key.get(key)
        if found is None:
            found = self._make(key, demand)
            self._unused[key] = found
            self._forget_unused()
        elif key in self._unused:
            self._unused.move_to_end(key)
        return found

    def at(self, place: int) -> RequestClass:
        """Return the class of a bit, by its place."""
        return self._by_bit[place]

    def all_queued(self) -> list[RequestClass]:
        """Return the classes of which something is queued."""
        return [self._by_bit[place] for place in bits(self.queued)]

    def enqueue(self, found: RequestClass, max_ms: int) -> None:
        """Note that a request of a class is queued, and how long it lasts at most, 0 unknown."""
        found.queued += 1
        self.queued |= found.bit
        if max_ms:
            found.spans.add(max_ms)
            self.bounded |= found.bit
        self._unused.pop(found.key, None)

    def dequeue(self, found: RequestClass, max_ms: int) -> None:
        """Note that a request of a class has left the queue."""
        found.queued -= 1
        if max_ms:
            found.spans.remove(max_ms)
        if not found.spans:
            self.bounded &= ~found.bit
        if not found.queued:
            self.queued &= ~found.bit
            self._unused[found.key] = found
            self._forget_unused()

    def of_resource(self, name: str) -> int:
        """Return the bits of the classes that one more resource may help."""
        return self.inventory.shape_of(name).awaited | self._named.get(name, 0)

    def matching(self, name: str) -> int:
        """Return the bits of the classes that a resource matches."""
        return self.inventory.shape_of(name).matches | self._named.get(name, 0)

    def await_only(self, found: RequestClass, options: Iterable[HostClass], lack: int) -> None:
        """Note that a set needs `lack` more of what some options ask for: nothing else helps."""
        options = list(options)
        shapes = shapes_of(options)
        for place in bits(found.awaits ^ shapes):
            self.inventory.shapes[place].awaited ^= found.bit
        found.awaits = shapes
        # One that is shared may do for several hosts, and nobody counts what is asked for by name.
        is_counted = not shapes & self.inventory.divisible
        is_counted = is_counted and not any(option.option.resource for option in options)
        found.lack = lack if is_counted else 1
        if found.lack > 1:
            self.lacking |= found.bit
        else:
            self.lacking &= ~found.bit

    def note_open(self, shape: Shape, count: int = 1) -> None:
        """Note that so many more resources of a shape are open, and stay so."""
        for place in bits(shape.awaited & self.lacking):
            found = self._by_bit[place]
            found.lack -= count
            if found.lack <= 1:
                self.lacking &= ~found.bit

    def lacking_despite(self, opened: Mapping[int, int]) -> int:
        """Return the bits of the lacking classes that are not whole with some more resources.

        Args:
            opened: how many there are more, by the index of their shape.
        """
        if not self.lacking or sum(opened.values()) == 1:
            return self.lacking  # they all lack two or more
        helped: Counter[int] = Counter()
        for index, count in opened.items():
            for place in bits(self.inventory.shapes[index].awaited & self.lacking):
                helped[place] += count
        whole = [place for place, count in helped.items() if self._by_bit[place].lack <= count]
        return self.lacking & ~sum(1 << place for place in whole)

    def shorter_than(self, mask: int, span_ms: int) -> int:
        """Return the bits of those classes of which something queued lasts at most so long."""
        found = 0
        for place in bits(mask & self.bounded):
            if self._by_bit[place].spans[0] <= span_ms:
                found |= 1 << place
        return found

    def wanting_at_most(self, cpus: int) -> int:
        """Return the bits of the classes of which some host may do with so many processors."""
        found = 0
        for least, mask in self._by_cpus.items():
            if least <= cpus:
                found |= mask
        return found

    def named(self, names: Collection[str]) -> int:
        """Return the bits of the classes that ask for one of some resources by name."""
        found = 0
        if self._named:
            for name in self._named.keys() & names:
                found |= self._named[name]
        return found

    def is_named(self, name: str) -> bool:
        """Say whether some class asks for a resource by name."""
        return name in self._named

    def rivals(self, options: Iterable[HostClass]) -> int:
        """Return the bits of the classes that compete for what some options ask for."""
        found = 0
        for option in options:
            if name := option.option.resource:
                found |= self.matching(name) if name in self.inventory else 0
                continue
            if option.rivals_at != self._version:
                option.rivals_at = self._version
                option.rivals = self.matching_any(option.shapes)
            found |= option.rivals
        return found

    def matching_any(self, shapes: int) -> int:
        """Return the bits of the classes that match one of some shapes."""
        if self._matching_at != self._version or len(self._matching) >= _MATCHING_KEPT:
            self._matching_at = self._version
            self._matching.clear()
        found = self._matching.get(shapes)
        if found is None:
            found = 0
            for place in bits(shapes):
                found |= self.inventory.shapes[place].matches
            self._matching[shapes] = found
        return found

    def need(self, shape: Shape) -> tuple[int, int]:
        """Return how many classes with something queued could use a shape, and how many at all."""
        return (shape.matches & self.queued).bit_count(), shape.matches.bit_count()

    def _make(self, key: str, demand: SetDemand) -> RequestClass:
        place = self._places.pop() if self._places else len(self._by_bit)
        hosts = {
            host: tuple(self._host(option) for option in wanted.options)
            for host, wanted in demand.hosts.items()
        }
        lone = next(iter(hosts.values())) if len(hosts) == 1 else ()
        made = RequestClass(key, 1 << place, demand, hosts, lone)
        self._by_key[key] = self._by_bit[place] = made
        self._version += 1
        for option in made.options:
            option.users += 1
            self._mark(made, option)
        self._by_cpus[made.least_cpus] = self._by_cpus.get(made.least_cpus, 0) | made.bit
        return made

    def _mark(self, made: RequestClass, option: HostClass) -> None:
        if name := option.option.resource:
            self._named[name] = self._named.get(name, 0) | made.bit
            return
        for place in bits(option.shapes):
            self.inventory.shapes[place].matches |= made.bit
            self.inventory.shapes[place].awaited |= made.bit
        made.awaits |= option.shapes

    def _host(self, option: HostDemand) -> HostClass:
        found = self._hosts.get(option)
        if found is None:
            found = self._hosts[option] = HostClass(option, is_by_name(option))
            shapes = self.inventory.shapes
            for place in bits(self.inventory.labelled(option.labels)):
                if shapes[place].names and not mismatch(option, shapes[place].spec):
                    found.shapes |= 1 << place
        return found

    def _forget_unused(self) -> None:
        while len(self._unused) > UNUSED_KEPT:
            _, gone = self._unused.popitem(last=False)
            self._forget(gone)

    def _forget(self, gone: RequestClass) -> None:
        place = gone.bit.bit_length() - 1
        del self._by_key[gone.key], self._by_bit[place]
        self._places.append(place)
        self.lacking &= ~gone.bit
        left = self._by_cpus.pop(gone.least_cpus) & ~gone.bit
        if left:
            self._by_cpus[gone.least_cpus] = left
        self._version += 1
        for option in gone.options:
            if name := option.option.resource:
                # Several of its options may be of one resource.
                left = self._named.pop(name, 0) & ~gone.bit
                if left:
                    self._named[name] = left
            else:
                for index in bits(option.shapes):
                    self.inventory.shapes[index].matches &= ~gone.bit
                    self.inventory.shapes[index].awaited &= ~gone.bit
            option.users -= 1
            if not option.users:
                del self._hosts[option.option]

    def _on_shape(self, shape: Shape, has_come: bool) -> None:
        bit = 1 << shape.index
        self._version += 1
        for option in self._hosts.values():
            if has_come and not mismatch(option.option, shape.spec):
                option.shapes |= bit
            elif not has_come:
                option.shapes &= ~bit
        for made in self._by_key.values():
            if not has_come:
                made.awaits &= ~bit
            elif any(o.shapes & bit and not o.option.resource for o in made.options):
                made.awaits |= bit
                self.lacking &= ~made.bit
                shape.matches |= made.bit
                shape.awaited |= made.bit
