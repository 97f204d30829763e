"""What the holder of a request is told while it waits, and by notices later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from hwprovisioner.client.clock import Time
from hwprovisioner.client.news import News
from hwprovisioner.client.updates import Phase, Update
from hwprovisioner.v1.heartbeat_service_pb2 import Notice

_log = logging.getLogger(__name__)

UpdateCallback = Callable[[Update], None]
NoticeCallback = Callable[[Notice], None]
Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The holder's own functions, called on the event loop."""

    on_update: UpdateCallback | None = None
    on_notice: NoticeCallback | None = None


class Teller:
    """Keeps the newest news, and tells what is new and only that."""

    def __init__(
        self, callbacks: Callbacks, time: Time, on_broken: Callable[[Exception], None]
    ) -> None:
        """Starts the time of the wait.

        Args:
            callbacks: Who is told.
            time: The clock.
            on_broken: Called with what `on_update` raised: it ends the wait, and comes out there.
        """
        self._callbacks = callbacks
        self._time = time
        self._on_broken = on_broken
        self._asked_s = time.now()
        self.news = Update(Phase.QUEUED, "", 0.0)
        """The newest update, whether or not it was told."""

    def tell(self, news: News, allocation_id: str) -> None:
        """Takes news, and tells them if they differ from those before."""
        waited_s = self._time.now() - self._asked_s
        said = {each.name: getattr(news, each.name) for each in fields(news)}
        old, self.news = self.news, Update(**said, allocation_id=allocation_id, waited_s=waited_s)
        if self.news != replace(old, waited_s=waited_s, repeated=False):
            self._show()

    def count_time(self) -> Update:
        """Brings the waiting time of the newest update up to now, without telling it."""
        waited_s = self._time.now() - self._asked_s
        self.news = replace(self.news, waited_s=waited_s, repeated=True)
        return self.news

    def repeat(self) -> None:
        """Tells the newest update once more, for displays that count."""
        self._show()

    def notice(self, notice: Notice) -> None:
        """Passes a notice on."""
        if self._callbacks.on_notice is not None:
            call(self._callbacks.on_notice, notice)

    def _show(self) -> None:
        if self._callbacks.on_update is None:
            return
        try:
            self._callbacks.on_update(self.news)
        except Exception as error:
            self._on_broken(error)


def call(callback: Callable[[Told], None], told: Told) -> None:
    """Calls the holder's own function; what goes wrong in it is its own affair."""
    try:
        callback(told)
    except Exception:
        _log.exception("a callback failed")
