"""The part of the state machine test that has to do with bookings, and with giving way."""

import json

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from hwprovisioner.state.model import Allocation
from hwprovisioner.state.view import View
from support.booking import place, reservation_of
from support.lab_machine import SLOTS, ManagedMachine, flags, mostly_right
from support.lab_model_records import ModelAllocation

which = st.integers(0, 5)
sets = st.lists(st.sampled_from(sorted(SLOTS)), min_size=1, max_size=2, unique=True)
is_booked = precondition(lambda self: any(a.book_until for a in self.model.allocations.values()))
is_granted = precondition(
    lambda self: any(a.state in ("PREPARING", "READY") for a in self.model.allocations.values())
)


class BookingMachine(ManagedMachine):
    """A lab that can be booked."""

    @rule(
        request=st.integers(0, 30),
        names=sets,
        in_ms=st.sampled_from([0, 0, 1_000, 6_000]),
        for_ms=st.sampled_from([2_000, 20_000]),
        from_old_view=flags,
    )
    def book(
        self, request: int, names: list[str], in_ms: int, for_ms: int, from_old_view: bool
    ) -> None:
        """Book, and begin if that is due."""
        name, request_id, user = f"a{next(self.ids)}", f"request-{request}", f"u{request % 2}"
        from_ms, until_ms = self.now + in_ms, self.now + in_ms + for_ms
        view = self.stale if from_old_view else self.lab.view
        known = [i for i in names if i in view.resources]
        places = [place(view, i, gains=name) for i in known]
        reservation = reservation_of(*known)
        wanted = ModelAllocation(1_500, 0, 0, self.now, request_id, user)
        wanted.book_until, wanted.reservation = until_ms, reservation
        word = self.model.book(name, wanted, from_ms, places)
        allocation = Allocation(
            id=name,
            ttl_ms=1_500,
            user=user,
            book_from_ms=from_ms,
            book_until_ms=until_ms,
            reservation=reservation,
        )
        booking = self.lab.allocations.book(
            allocation,
            token=f"token-{request}",
            request_id=request_id,
            digest="d",
            places=places,
            now_ms=self.now,
        )
        self.expect(word, booking)
        if in_ms == 0:
            self.begin_booking(name)

    @is_booked
    @rule(index=which, names=sets, from_old_view=flags, epoch_off=mostly_right)
    def rebook(self, index: int, names: list[str], from_old_view: bool, epoch_off: int) -> None:
        booked = {i for i, a in self.model.allocations.items() if a.book_until}
        name = self.pick(booked, index)
        view = self.stale if from_old_view else self.lab.view
        gained = [i for i in names if i in view.resources]
        places = [place(view, i, gains=name) for i in gained]
        places += [
            place(view, i, loses=name)
            for i in self.reserved(view, name)
            if i in view.resources and i not in gained
        ]
        reservation, epoch = reservation_of(*gained), self.model.epoch + epoch_off
        self.expect(
            self.model.rebook(name, reservation, places, epoch),
            self.lab.allocations.rebook(
                name, reservation, places=places, epoch=epoch, now_ms=self.now
            ),
        )

    def reserved(self, view: View, name: str) -> list[str]:
        known = view.allocations.get(name)
        shares = json.loads(known.reservation) if known and known.reservation else {}
        return [share["resource"] for share in shares.values()]

    @is_booked
    @rule(index=which)
    def it_begins_perhaps(self, index: int) -> None:
        self.begin_booking(self.pick(self.model.allocations, index))

    @is_granted
    @rule(index=which, grace_ms=st.sampled_from([0, 3_000]), epoch_off=mostly_right)
    def preempt(self, index: int, grace_ms: int, epoch_off: int) -> None:
        granted = {i for i, a in self.model.allocations.items() if a.holds}
        name = self.pick(granted if grace_ms else self.model.allocations, index)
        epoch = self.model.epoch + epoch_off
        self.expect(
            self.model.preempt(name, "another", grace_ms, epoch),
            self.lab.allocations.preempt(
                name, "another", grace_ms=grace_ms, epoch=epoch, now_ms=self.now
            ),
        )

    @is_granted
    @rule(index=which, epoch_off=mostly_right)
    def spare(self, index: int, epoch_off: int) -> None:
        granted = {i for i, a in self.model.allocations.items() if a.holds}
        name, epoch = self.pick(granted, index), self.model.epoch + epoch_off
        self.expect(
            self.model.spare(name, epoch),
            self.lab.allocations.spare(name, epoch=epoch, now_ms=self.now),
        )
