"""Which queued requests nothing registered can satisfy any longer."""

from collections.abc import Iterable, Iterator

from hwprovisioner.allocate.planning.planner import Planner


class Doubts:
    """Looks only at the requests of which that may have become so."""

    def __init__(self, planner: Planner) -> None:
        """Judge the requests that are queued in `planner`."""
        self._planner = planner
        self._losses = 0
        self._doubtful: set[str] = set()

    def note(self, request_ids: Iterable[str]) -> None:
        """Look at requests that may be impossible although others of their class are not.

        Such are new or back in the queue, or have resources that failed them.
        """
        self._doubtful.update(request_ids)

    def forget(self, request_id: str) -> None:
        """Look no longer at a request."""
        self._doubtful.discard(request_id)

    def impossible(self) -> Iterator[str]:
        """Yield those that are impossible; looking at them takes the doubt."""
        planner, requests = self._planner, self._planner.queue.requests
        if self._losses != planner.inventory.losses:
            self._losses = planner.inventory.losses
            lost = [each for each in planner.classes.all_queued() if not planner.feasible(each)]
            bits = sum(each.bit for each in lost)
            for request in requests.values():
                if request.excluded or request.asked.bit & bits:
                    self._doubtful.add(request.id)
        doubtful, self._doubtful = self._doubtful, set()
        for request_id in doubtful:
            known = requests.get(request_id)
            if known and not planner.feasible(known.asked, known.excluded):
                yield request_id
