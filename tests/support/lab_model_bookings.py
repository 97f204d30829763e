"""More of the model: bookings, and who gives way to whom."""

from collections.abc import Sequence

from hwprovisioner.state.allocations import BookedPlace
from support.lab_model_holds import HoldModel
from support.lab_model_records import ModelAllocation


class BookingModel(HoldModel):
    """A lab that can be booked."""

    def book(
        self, name: str, wanted: ModelAllocation, from_ms: int, places: Sequence[BookedPlace]
    ) -> str:
        if self.is_known(wanted.request):
            return "KNOWN"
        if not self._as_planned(places):
            return "STALE"
        wanted.state = "BOOKED"
        self.allocations[name] = wanted
        self.deadlines[f"begin:{name}"] = from_ms
        self._write(places)
        return "BOOKED"

    def rebook(self, name: str, reservation: str, places: Sequence[BookedPlace], epoch: int) -> str:
        if epoch != self.epoch:
            return "DEPOSED"
        allocation = self.allocations.get(name)
        waits = allocation and allocation.book_until and allocation.state in ("BOOKED", "QUEUED")
        if not allocation or not waits:
            return "NOT_BOOKED"
        if not self._as_planned(places):
            return "STALE"
        allocation.reservation = reservation
        self._write(places)
        return "REBOOKED"

    def begin(self, name: str, show_up_ms: int) -> str:
        allocation = self.allocations.get(name)
        if not allocation or allocation.state != "BOOKED":
            return "NOT_BOOKED"
        if not self.is_due(f"begin:{name}"):
            return "EARLY"
        allocation.state = "QUEUED"
        del self.deadlines[f"begin:{name}"]
        self.deadlines[f"lease:{name}"] = self.now + max(allocation.ttl, show_up_ms)
        self.deadlines[f"max:{name}"] = allocation.book_until
        return "BEGUN"

    def preempt(self, name: str, for_id: str, grace_ms: int, epoch: int) -> str:
        if epoch != self.epoch:
            return "DEPOSED"
        allocation = self.allocations.get(name)
        if not allocation or allocation.state not in ("PREPARING", "READY"):
            return "WRONG_STATE"
        if f"preempt:{name}" in self.deadlines:
            return "SAME"
        allocation.preempted_for = for_id
        allocation.preempt = self.deadlines[f"preempt:{name}"] = self.now + grace_ms
        return "WARNED"

    def spare(self, name: str, epoch: int) -> str:
        if epoch != self.epoch:
            return "DEPOSED"
        if self.deadlines.pop(f"preempt:{name}", None) is None:
            return "SAME"
        self.allocations[name].preempt, self.allocations[name].preempted_for = 0, ""
        return "SPARED"

    def _as_planned(self, places: Sequence[BookedPlace]) -> bool:
        return all(
            (known := self.resources.get(place.resource)) is not None
            and (known.fence, known.booked) == (place.fence, place.booked)
            for place in places
        )

    def _write(self, places: Sequence[BookedPlace]) -> None:
        for place in places:
            self.resources[place.resource].booked = place.booked_after
