"""How new the view is that answers are made from."""

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

    async def catch_up(self) -> None:
        """Wait until the view has all that was committed so far, by whatever replica.

        Raises:
            StateUnavailable: as `check`.
        """
        await self.check()
        await self._view.reached(await self._reader.revision())
