"""What a holder knows about its own lease: the reckoning, without any I/O.

A heartbeat that was sent at `s` and answered with `r` left proves that the lease lives until
`s + r`: the lab counted from when it took the beat, which is not before it was sent. Clocks of the
two machines never meet. A little is taken off, so that the holder stops before anybody else begins.

A heartbeat that was refused because leases are paused proves nearly the same: the pause ends after
the refusal, and then the lease has its full length again. That saves only what had not ended when
the pause began.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from hwprovisioner.client.durations import show
from hwprovisioner.client.errors import LeaseLost

LAPSED = "LEASE_LAPSED"
"""The reason when this process itself says that the lease is over."""


def margin_s(remaining_s: float) -> float:
    """What is taken off a lease: a twentieth, at most a second; clocks drift far less than that."""
    return min(1.0, remaining_s / 20)


class Lease:
    """The lease of one allocation. May be asked from any thread; a loss is final.

    Until `guard` is called the deadline is only reckoned: while a request waits there is nothing
    that must not be used, and the lab alone decides whether it has ended.
    """

    def __init__(self, allocation_id: str, now: Callable[[], float], full_s: float = 0.0) -> None:
        """Starts without any proof. `full_s` is the lease's full length; 0: not known."""
        self.allocation_id = allocation_id
        self.beats = 0
        """How many heartbeats were accepted."""
        self._now = now
        self._full_s = full_s
        self._lock = threading.Lock()
        self._sent_s = float("-inf")
        self._deadline_s = float("-inf")
        self._guarded = False
        self._trouble = ""
        self._loss: LeaseLost | None = None
        self._seen = False

    def accepted(self, sent_s: float, remaining_s: float, *, is_beat: bool = True) -> None:
        """The lab said what the lease has left.

        Args:
            sent_s: When the call that it answered was sent, by the holder's clock.
            remaining_s: What the lease had left when the lab took the call.
            is_beat: Whether that call was a heartbeat.
        """
        with self._lock:
            self.beats += is_beat
            self._trouble = ""
            if sent_s >= self._sent_s:
                self._sent_s = sent_s
                self._deadline_s = sent_s + remaining_s - margin_s(remaining_s)

    def paused(self, sent_s: float, paused_s: float) -> bool:
        """A heartbeat was refused, as leases are paused; says whether that saves this one.

        Args:
            sent_s: When it was sent.
            paused_s: Since when at the latest leases have been paused.
        """
        with self._lock:
            if self._deadline_s <= paused_s:
                return False
            deadline_s = sent_s + self._full_s - margin_s(self._full_s)
            self._deadline_s = max(self._deadline_s, deadline_s)
            return True

    def troubled(self, why: str) -> None:
        """A heartbeat failed in a way that says nothing about the lease."""
        with self._lock:
            self._trouble = why

    def guard(self) -> None:
        """From now on the hosts are in use, so the deadline binds."""
        with self._lock:
            self._guarded = True

    def end(self, reason: str, detail: str) -> LeaseLost:
        """The allocation is over. What was said first stays."""
        with self._lock:
            if self._loss is None:
                self._loss = LeaseLost(reason, detail, self.allocation_id)
            return self._loss

    @property
    def left_s(self) -> float:
        """How long the lease is proven to live; zero or less: it is not."""
        with self._lock:
            return self._deadline_s - self._now()

    @property
    def trouble(self) -> str:
        """Why the newest heartbeat failed; empty if it did not."""
        return self._trouble

    @property
    def loss(self) -> LeaseLost | None:
        """Why the hosts must not be used; None if they may.

        Once it has been looked at past the deadline the lease is over, even if the answer to a
        heartbeat is still on its way.
        """
        with self._lock:
            overdue_s = self._now() - self._deadline_s
            if self._loss is None and self._guarded and overdue_s >= 0:
                self._loss = LeaseLost(LAPSED, self._lapse(overdue_s), self.allocation_id)
            return self._loss

    def check(self) -> None:
        """Does nothing while the hosts may be used.

        Raises:
            LeaseLost: They must not.
        """
        if (loss := self.loss) is not None:
            self._seen = True
            raise LeaseLost(loss.reason, loss.detail, loss.allocation_id, code=loss.code)

    @property
    def unseen_loss(self) -> LeaseLost | None:
        """The loss, if the holder has not yet been told by an exception."""
        return None if self._seen else self.loss

    def _lapse(self, overdue_s: float) -> str:
        since = show(self._now() - self._sent_s)
        if self._trouble:
            return f"no heartbeat was accepted for {since}, the last one failed: {self._trouble}"
        return (
            f"no heartbeat was accepted for {since}, {show(overdue_s)} past the end of the lease;"
            " this process or its machine was stopped, or too busy to send one"
        )
