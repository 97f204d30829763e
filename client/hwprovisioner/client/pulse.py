"""The heartbeats of one allocation, from its first update until it is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from hwprovisioner.client.backoff import full_jitter
from hwprovisioner.client.clock import Time
from hwprovisioner.client.errors import LeaseLost
from hwprovisioner.client.failures import Report, ended_lease
from hwprovisioner.client.lease import Lease
from hwprovisioner.client.moments import local_now
from hwprovisioner.v1.heartbeat_service_pb2 import (
    HeartbeatRequest,
    HeartbeatResponse,
    LeasePause,
    Notice,
    NoticeKind,
)

if TYPE_CHECKING:
    from hwprovisioner.client.channel import Channels

_log = logging.getLogger(__name__)

# Answers about this lease. Everything else is about the way to it, and is tried again.
_FINAL = {"PERMISSION_DENIED", "UNAUTHENTICATED", "NOT_FOUND", "INVALID_ARGUMENT", "ABORTED"}
_FORGOTTEN = (
    "the lab knows it no longer: it has lost its state, or it ended this allocation long ago, while"
    " this process was away"
)
# Their message says how long is left.
_COUNTING_DOWN = (
    NoticeKind.NOTICE_KIND_MAX_DURATION_NEAR,
    NoticeKind.NOTICE_KIND_PREEMPTION,
)

SHORTEST_TIMEOUT_S = 0.25
"""Even the last try before the end of a lease gets so long to be answered."""
SHORTEST_DELAY_S = 0.1
"""Even just before the end of a lease tries come no faster."""
LEAST = 0.5
"""When others beat, one goes along after so much of its delay: then all go on together at once."""
LEAST_AFTER_FAILURE = 0.75
"""Likewise after a failure, and never before the lab wants to be asked again."""


def loss_in(report: Report, allocation_id: str) -> LeaseLost | None:
    """Tells whether a failed heartbeat means that the lease is over, and if so why."""
    if report.code == "ABORTED" and report.reason == "ALLOCATION_ENDED":
        return ended_lease(report, allocation_id)
    if report.code in _FINAL:
        reason, words = report.reason or report.code, report.message
        if reason == "NO_SUCH_ALLOCATION":
            words = f"{_FORGOTTEN} ({words})"
        return LeaseLost(reason, words, allocation_id, code=report.code)
    return None


def delay_after(response: HeartbeatResponse) -> float:
    """Seconds until the next heartbeat: the lab's word, but never beyond half the lease."""
    remaining_s = response.remaining_lease.ToTimedelta().total_seconds()
    asked_s = response.next_heartbeat_delay.ToTimedelta().total_seconds()
    return min(asked_s if asked_s > 0 else remaining_s / 3, remaining_s / 2)


def beat_timeout(left_s: float, longest_s: float) -> float:
    """Seconds to wait for an answer: when a server hangs, time must be left to ask another."""
    return longest_s if left_s <= 0 else min(longest_s, max(left_s / 2, SHORTEST_TIMEOUT_S))


def delay_after_failure(left_s: float, asked_s: float, backoff_s: float) -> float:
    """Seconds until the next try: there must be several before a lease ends that can be saved."""
    delay_s = asked_s + backoff_s
    return delay_s if left_s <= 0 else min(delay_s, max(left_s / 4, SHORTEST_DELAY_S))


class Pulse:
    """Beats until the lab says that the allocation is over."""

    def __init__(
        self,
        channels: Channels,
        lease: Lease,
        token: str,
        *,
        time: Time,
        timeout_s: float,
        on_notice: Callable[[Notice], None],
    ) -> None:
        self._beater = channels.beater
        self._lease = lease
        self.request = HeartbeatRequest(allocation_id=lease.allocation_id, token=token)
        """Its beat."""
        self._time = time
        self._timeout_s = timeout_s
        self._on_notice = on_notice
        self._hurry = asyncio.Event()
        self._may_s = float("inf")
        """From when on it may beat along with others."""
        self._told: set[str] = set()
        self._paused = False

    def hurry(self) -> None:
        """Sends the next heartbeat now."""
        self._hurry.set()

    def come_along(self) -> None:
        """Sends the next heartbeat now, as others do, if it would soon in any case."""
        if self._time.now() >= self._may_s:
            self.hurry()

    @property
    def is_over(self) -> bool:
        """Whether it must not beat any more."""
        return self._lease.loss is not None

    async def run(self) -> LeaseLost:
        """Beats, the first time at once, until the allocation is over; returns why."""
        self._beater.add(self)
        try:
            return await self._run()
        finally:
            self._beater.remove(self)

    async def _run(self) -> LeaseLost:
        failures = 0
        # Once this process has fenced itself, a beat would only keep the hosts from others.
        while (over := self._lease.loss) is None:
            sent_s, left_s = self._time.now(), self._lease.left_s
            answer = await self._beater.beat(self, beat_timeout(left_s, self._timeout_s))
            match answer.result:
                case Report() as report:
                    if (loss := loss_in(report, self._lease.allocation_id)) is not None:
                        return loss
                    failures += 1
                    self._miss(report, sent_s)
                    backoff_s, asked_s = full_jitter(failures, answer.draw), report.retry_delay_s
                    delay_s = delay_after_failure(self._lease.left_s, asked_s, backoff_s)
                    least_s = max(delay_s * LEAST_AFTER_FAILURE, min(delay_s, asked_s))
                case response:
                    failures = 0
                    remaining_s = response.remaining_lease.ToTimedelta().total_seconds()
                    self._lease.accepted(sent_s, remaining_s)
                    self._pass_on(response)
                    delay_s = delay_after(response)
                    least_s = delay_s * LEAST
            await self._pause(delay_s, least_s)
        return over

    def _miss(self, report: Report, sent_s: float) -> None:
        """Notes that a heartbeat was not accepted."""
        self._lease.troubled(f"{report.code} {report.message}".strip())
        if report.pause is not None:
            self._hold_on(report.pause, sent_s)

    def _hold_on(self, pause: LeasePause, sent_s: float) -> None:
        """Takes the refusal for a beat, where it is as good as one, and says so once."""
        paused_s = self._time.now() - pause.paused_for.ToTimedelta().total_seconds()
        if not self._lease.paused(sent_s, paused_s) or self._paused:
            return
        self._paused = True
        until = local_now() + pause.remaining.ToTimedelta()
        message = (
            "the lab's Redis is away, and leases are paused meanwhile, until"
            f" {until:%H:%M:%S} at least: the hosts stay yours"
        )
        self._tell(Notice(kind=NoticeKind.NOTICE_KIND_LEASES_PAUSED, message=message))

    def _pass_on(self, response: HeartbeatResponse) -> None:
        """Tells each notice once; one that counts down has another message each time."""
        if self._paused:
            self._paused = False
            _log.info("allocation %s: heartbeats are taken again", self._lease.allocation_id)
        for notice in response.notices:
            name = notice.message
            if notice.kind in _COUNTING_DOWN:
                name = NoticeKind.Name(notice.kind)
            if name not in self._told:
                self._told.add(name)
                self._tell(notice)

    def _tell(self, notice: Notice) -> None:
        _log.warning("allocation %s: %s", self._lease.allocation_id, notice.message)
        self._on_notice(notice)

    async def _pause(self, seconds: float, least_s: float) -> None:
        """Waits for the time to pass or for somebody in a hurry; for others, once it may."""
        self._hurry.clear()
        self._may_s = self._time.now() + least_s
        waits = (
            asyncio.ensure_future(self._time.sleep(seconds)),
            asyncio.ensure_future(self._hurry.wait()),
        )
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._may_s = float("inf")
            for wait in waits:
                wait.cancel()
