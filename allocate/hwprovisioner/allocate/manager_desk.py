"""What all streams of managers share."""

from collections.abc import Callable

from hwprovisioner.allocate.belongings import Belongings
from hwprovisioner.allocate.codec import Codec
from hwprovisioner.allocate.dispatch import Dispatch
from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.manager_messages import Inbox
from hwprovisioner.allocate.reconciling import Reconciler
from hwprovisioner.allocate.registration import Registrar
from hwprovisioner.allocate.switchboard import Switchboard
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.holds import Holds
from hwprovisioner.state.managers import Managers
from hwprovisioner.state.model import Hold
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.upkeep import Upkeep
from hwprovisioner.state.view import View


class Desk:
    """What all streams of managers share."""

    def __init__(
        self,
        view: View,
        belongings: Belongings,
        freshness: Freshness,
        dispatch: Dispatch,
        codec: Codec,
        managers: Managers,
        allocations: Allocations,
        holds: Holds,
        reader: Reader,
        switchboard: Switchboard,
        upkeep: Upkeep,
        on_cleaned: Callable[[Hold], None],
    ) -> None:
        """Serve managers of the lab of `view`; `on_cleaned` is that of `Inbox`."""
        self.view = view
        self.belongings = belongings
        self.dispatch = dispatch
        self.codec = codec
        self.managers = managers
        self.registrar = Registrar(view, belongings, freshness, managers)
        self.reconciler = Reconciler(view, belongings, freshness, allocations, holds)
        self.inbox = Inbox(
            *(view, managers, holds, self.registrar, reader, switchboard, upkeep),
            on_cleaned=on_cleaned,
        )
        self.switchboard = switchboard
        self.limits = managers.limits
