"""Recognizing, on each new connection, whether Redis has the copy of the lab that was served last.

Redis may lose what it has acknowledged: its last second with ``appendfsync everysec``, the tail
that a replica lacked which takes over, everything with FLUSHALL. What is there afterwards does not
say so. But each start of Redis and each fail-over is another *run*, and the lab notes which one
served it last.
"""

import logging

from hwprovisioner.state.keys import Keys, Kind
from hwprovisioner.state.resp import Connection, packed
from hwprovisioner.state.scripts import script
from hwprovisioner.state.transitions import Limits

_log = logging.getLogger(__name__)


class Recognition:
    """Recognizes the lab's copy, as the greeting of every link that changes the lab or follows it.

    So nothing is changed in a copy that was not recognized, or shown of it, whichever replica is
    first.
    """

    def __init__(self, keys: Keys, limits: Limits) -> None:
        """Recognize the lab of `keys`; managers have as long to come back as for any outage."""
        self._keys = keys
        self._back_ms = limits.lost_ms

    async def __call__(self, connection: Connection) -> None:
        """Recognize the copy over a connection that nothing else was sent over.

        Raises:
            CommandRefused: the user of the URL may not do that, INFO say.
            StateUnavailable: the connection was lost, or is one to a replica.
        """
        keys, recognize = self._keys, script("recognize")
        found = await connection.send(packed("SMEMBERS", keys.index(Kind.MANAGER)))
        # Managers that have come since are of this copy already.
        managers = [str(manager) for manager in found]
        names = [keys.revision, keys.log, keys.deadlines, keys.run, keys.scheduler, keys.tended]
        names += [keys.manager(manager) for manager in managers]
        reply = await connection.send(
            packed("EVAL", recognize.text, len(names), *names, "", self._back_ms, *managers)
        )
        if reply[0] == "CHANGED" and managers:
            _log.warning(
                "Redis was restarted, or another one has taken over: what it acknowledged last may"
                " be lost, so all managers have to register again"
            )
