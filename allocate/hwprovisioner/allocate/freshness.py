"""How new the view is that answers are made from."""

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.follower import Follower
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.view import View


class Freshness:
    """Waits until the view is new enough, or refuses."""

    def __init__(self, view: View, follower: Follower, reader: Reader) -> None:
        """Judge `view`, which `follower` moves along; `reader` asks Redis itself."""
        self._view = view
        self._follower = follower
        self._reader = reader

    async def check(self) -> None:
        """Refuse to answer from a view that stands still, or was not loaded yet.

        Raises:
            StateUnavailable: it does not follow the lab, and will not in a moment.
        """
        await self._follower.following()

    async def has(self, allocation_id: str, revision: int | None = None) -> None:
        """Wait until the view has a revision of our own making, or an allocation if it is any."""
        if revision is not None:
            await self._view.reached(revision)
        elif allocation_id not in self._view.allocations:
            # Another replica may have just queued it.
            await self.catch_up()

    async def catch_up(self) -> None:
        """Wait until the view has all that was committed so far, by whatever replica.

        Raises:
            StateUnavailable: as `check`, or the view is of a lab that Redis has lost since.
        """
        await self.check()
        before = self._view.revision
        latest = await self._reader.revision()
        if latest < before:
            raise StateUnavailable("the lab was restored from an older copy: try again")
        await self._view.reached(latest)
