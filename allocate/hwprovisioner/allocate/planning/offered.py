"""What a pass has to give out, and which classes it could serve."""

from collections.abc import Iterable

from hwprovisioner.allocate.planning.classes import Classes


class Offered:
    """The resources that have changed and are open, and the classes they could serve."""

    def __init__(self, classes: Classes, names: Iterable[str]) -> None:
        """Begin with some resources; those that are open are offered."""
        self._classes = classes
        self._names: set[str] = set()
        self._of_shape: dict[int, int] = {}
        self._claimed = 0
        self._is_strict = False
        self.classes = 0
        """The bits of the classes that they could serve."""
        self.lacking = 0
        """The bits of the classes of sets that are not whole with all of them."""
        self.add(names)

    def discard(self, name: str) -> None:
        """Take a resource out: it is given away, or kept."""
        if name in self._names:
            self._names.discard(name)
            if not self._names:
                self._of_shape.clear()
                self.classes = 0
            elif not self._fewer_alike(name) or self._classes.is_named(name):
                self._add_up()

    def add(self, names: Iterable[str]) -> None:
        """Offer more, as far as they are open."""
        inventory, of_shape = self._classes.inventory, self._of_shape
        for name in names:
            if name not in self._names and inventory.is_open(name):
                self._names.add(name)
                index = inventory.shape_of(name).index
                of_shape[index] = of_shape.get(index, 0) + 1
        if self._classes.lacking:
            self.lacking = self._classes.lacking_despite(of_shape)
        self._add_up()

    def claim(self, shapes: int) -> None:
        """Offer no more of some shapes to sets that cannot be whole: one is before them."""
        self._claimed |= shapes
        self._add_up()

    def only_what_fits(self) -> None:
        """Offer shared resources no more to those for whom they have too few processors free."""
        self._is_strict = True
        self._add_up()

    def _fewer_alike(self, name: str) -> int:
        """Count one fewer of the shape of a resource; returns how many are left."""
        index = self._classes.inventory.shape_of(name).index
        count = self._of_shape.pop(index) - 1
        if count:
            self._of_shape[index] = count
        return count

    def _add_up(self) -> None:
        inventory, lacking = self._classes.inventory, self.lacking
        shapes = inventory.shapes
        self.classes = self._classes.named(self._names)
        for index in self._of_shape:
            found = shapes[index].awaited
            if self._claimed >> index & 1:
                found &= ~lacking
            if self._is_strict and inventory.divisible >> index & 1:
                found &= self._classes.wanting_at_most(self._most_cpus(index))
            self.classes |= found

    def _most_cpus(self, index: int) -> int:
        """Return the most processors that one of a shape has free."""
        inventory = self._classes.inventory
        names = (name for name in self._names if inventory.shape_of(name).index == index)
        return max((inventory.standing(name).room.cpus for name in names), default=0)
