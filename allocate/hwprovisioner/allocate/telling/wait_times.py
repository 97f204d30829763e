"""How long requests of each matching class have waited, and how long they lasted: as a list."""

from collections import Counter

from hwprovisioner.allocate.codec import duration
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.pages import page
from hwprovisioner.allocate.past import quantile
from hwprovisioner.allocate.set_demands import demands_message
from hwprovisioner.state.tables import AllocationState
from hwprovisioner.state.view import View
from hwprovisioner.v1 import allocate_service_pb2 as pb

_MIDDLE, _LIKELY = 0.5, 0.9


class WaitTimes:
    """Lists them."""

    def __init__(self, view: View, lab: Lab) -> None:
        """Tell of the lab of `view`."""
        self._view = view
        self._lab = lab

    def listed(self, request: pb.ListWaitTimesRequest) -> pb.ListWaitTimesResponse:
        """List the classes that have something queued or a past."""
        demands: dict[str, str] = {}
        queued: Counter[str] = Counter()
        for allocation in self._view.allocations.values():
            demands[allocation.class_id] = allocation.demands
            queued[allocation.class_id] += allocation.state is AllocationState.QUEUED
        past = self._lab.past
        known = {class_id for class_id, count in queued.items() if count}
        found, next_token = page(
            known | past.waits.keys() | past.spans.keys(),
            str,
            request.page_size,
            request.page_token,
        )
        classes = [self._shown(each, demands.get(each, ""), queued[each]) for each in found]
        return pb.ListWaitTimesResponse(classes=classes, next_page_token=next_token)

    def _shown(self, class_id: str, demands: str, queued: int) -> pb.WaitTimes:
        past = self._lab.past
        waits, spans = past.waits.get(class_id, ()), past.spans.get(class_id, ())
        shown = pb.WaitTimes(class_id=class_id, queued_count=queued, granted_count=len(waits))
        if demands:
            shown.demands.CopyFrom(demands_message(demands))
        if waits:
            shown.median_wait.CopyFrom(duration(quantile(waits, _MIDDLE)))
            shown.likely_wait.CopyFrom(duration(quantile(waits, _LIKELY)))
        if spans:
            shown.median_span.CopyFrom(duration(quantile(spans, _MIDDLE)))
            shown.likely_span.CopyFrom(duration(quantile(spans, _LIKELY)))
        return shown
