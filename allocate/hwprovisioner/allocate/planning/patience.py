"""When a set begins to keep: whether to gather machines, or to wait until a set leaves them whole.

Machines that are gathered one by one stand idle until the last has come, while a set that ends
leaves all of its machines at once. So a set lets some go by first: three resources for each two of
its hosts. Where sets are most of the load, one then follows another, instead of each gathering anew
what single requests took in between. Fewer leave more idle, and more cost sets their share: on
twelve loads that are half sets, one for each host is up to 7 % below a clairvoyant packing, three
for two 4 %, and with two for one up to 11 % of somebody's fair share are lacking.

None goes by if its user has had next to nothing lately, or is far behind: even with the set they
would have no more than the next of the others, who thus has no claim.
"""

from hwprovisioner.allocate.planning.lineup import Key, UserQueue
from hwprovisioner.allocate.planning.order import Request

_LITTLE = 1.0
"""Whose use comes to less hosts has had next to nothing lately."""


def most_let_by(hosts: int) -> int:
    """Return how many resources a set of so many hosts lets go by."""
    return hosts * 3 // 2


class Patience:
    """How many resources each set has let go by that waits; for all passes."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._let_by: dict[str, int] = {}

    def is_over(
        self, request: Request, count: int, mine: Key, user: UserQueue, others: Key | None
    ) -> bool:
        """Say whether a set lets nothing go by any more; otherwise count what it lets go.

        Args:
            request: asks for the set.
            count: so many resources it could keep now.
            mine: where it stands.
            user: whose it is.
            others: where the first of the others behind it stands who want what it lacks.
        """
        hosts = len(request.asked.hosts)
        let_by, most = self._let_by.get(request.id, 0), most_let_by(hosts)
        if let_by >= most:
            return True
        # What is begun is gone on with, so this is not asked again.
        begins = (
            user.used < _LITTLE or others is None or _reaches(mine, hosts / user.weight, others)
        )
        self._let_by[request.id] = most if begins else let_by + count
        return begins

    def forget(self, request_id: str) -> None:
        """Note that a request does not wait any longer."""
        self._let_by.pop(request_id, None)


def _reaches(mine: Key, more: float, others: Key) -> bool:
    """Say whether a request would be before the others even if its user's share were larger."""
    return mine[0] < others[0] or mine[1] + more <= others[1]
