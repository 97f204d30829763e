"""The requests that are to be looked at in a pass, whatever has changed."""

from collections.abc import Mapping


class Arrivals:
    """Requests by id, each with the bit of its class."""

    def __init__(self, arrived: Mapping[str, int]) -> None:
        """Begin with some."""
        self._bits: dict[str, int] = {}
        self._of_class: dict[int, int] = {}
        self.classes = 0
        """The bits of the classes of those that are still to be looked at."""
        for request_id, bit in arrived.items():
            self.add(request_id, bit)

    def add(self, request_id: str, bit: int) -> None:
        """Have one more looked at."""
        if request_id not in self._bits:
            self._bits[request_id] = bit
            self._of_class[bit] = self._of_class.get(bit, 0) + 1
            self.classes |= bit

    def take(self, request_id: str) -> bool:
        """Take one out that is looked at now; returns whether it was among them."""
        bit = self._bits.pop(request_id, 0)
        if bit:
            self._of_class[bit] -= 1
            if not self._of_class[bit]:
                self.classes &= ~bit
        return bool(bit)
