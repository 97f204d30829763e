"""The lab as planning sees it: follows the view, and tells the planner what has changed."""

from hwprovisioner.allocate.accounts import Accounts
from hwprovisioner.allocate.belongings import Belongings
from hwprovisioner.allocate.charging import Charging
from hwprovisioner.allocate.doubts import Doubts
from hwprovisioner.allocate.lab_clock import LabClock
from hwprovisioner.allocate.past import Past
from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.board import Grant
from hwprovisioner.allocate.planning.lineup import BOOKED
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.planner import Planner
from hwprovisioner.allocate.policy import DEFAULT_POLICY, Policy
from hwprovisioner.allocate.reservations import Reservations
from hwprovisioner.allocate.set_demands import stored_set
from hwprovisioner.allocate.standings import Standings, without
from hwprovisioner.allocate.turnover import Turnover
from hwprovisioner.allocate.uses import Uses
from hwprovisioner.state.history import History
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import Allocation, Hold, Resource
from hwprovisioner.state.tables import AllocationState, HoldState
from hwprovisioner.state.view import Change, Changed, View

_GRANTED = (AllocationState.PREPARING, AllocationState.READY)


class Lab:
    """Follows a view."""

    def __init__(self, view: View, policy: Policy = DEFAULT_POLICY) -> None:
        """Begin to follow `view`."""
        self._view = view
        self.accounts = Accounts(policy)
        self.charging = Charging(self.accounts, view)
        self.past = Past()
        self._standings = Standings(view.managers)
        self.belongings = Belongings(view)
        self.version = 0
        """One more with each change that may matter to planning."""
        self.granted: dict[str, None] = {}
        """The allocations that have hosts."""
        self.giving_way: dict[str, None] = {}
        """Those of them that have been told to give way to others."""
        self.ahead: set[str] = set()
        """Those that were decided before they were queued, as `decide_ahead` does."""
        self.clock = LabClock()
        self._uses = Uses(view, self.clock)
        self.turnover = Turnover()
        self._begin()
        view.listen(self.follow)
        self.follow(None)

    def _begin(self) -> None:
        self.planner = Planner(
            self._average,
            self.accounts.weight,
            self.charging.over,
            self.charging.charge,
            backfill=self.accounts.policy.backfill,
        )
        self.planner.finder.held = self._uses.held
        self.planner.finder.turnover = self.turnover.of
        self.reservations = Reservations(self.planner.finder.booked)
        self.doubts = Doubts(self.planner)

    @property
    def policy(self) -> Policy:
        """What holds in the lab."""
        return self.accounts.policy

    def take_time(self, now_ms: int, steady_ms: int) -> None:
        """Go by the times that Redis says; if its clock was set, uses end at other moments."""
        if self.clock.set_both(now_ms, steady_ms):
            self.version += 1
            for resource in self._view.resources.values():
                if resource.holds:
                    self._take_in_resource(resource.name)
            self.planner.queue.refresh(now_ms, force=True)

    def take_policy(self, policy: Policy) -> None:
        """Go by another policy from now on."""
        self.accounts.take(policy)
        self.follow(None)

    def remember(self, history: History) -> None:
        """Take over the lab's past as Redis has it."""
        self.accounts.remember(history.use)
        self.past.remember(history.waits, history.spans)
        self.planner.queue.refresh(self.clock.now_ms(), force=True)

    def follow(self, change: Change | None) -> None:
        """Take a change in, or everything anew."""
        self.version += 1
        if change is None:
            self._reload()
            return
        self.clock.set(change.time_ms)
        touched = dict.fromkeys(
            record_id for kind, record_id in change.records if kind is Kind.RESOURCE
        )
        for (kind, record_id), changed in change.records.items():
            match kind:
                case Kind.MANAGER:
                    touched |= dict.fromkeys(self.belongings.names(record_id))
                case Kind.ALLOCATION:
                    self._take_in_allocation(record_id, changed)
                case Kind.HOLD:
                    self._take_in_hold(changed)
        for name in touched:
            self._take_in_resource(name)

    def decide(self) -> list[Grant]:
        """Return what is granted now; see `Planner.decide`."""
        return self.planner.decide(self.clock.now_ms())

    def decide_ahead(self, allocation: Allocation) -> Grant | None:
        """Return what a request gets that is about to be queued, as if it were queued already.

        None if others wait, and if it would have to.
        """
        if self.queue_length or allocation.tolerates:
            return None
        self._enqueue(allocation)
        self.doubts.forget(allocation.id)
        for grant in self.decide():
            self.ahead.add(grant.request)
            return grant
        self.planner.remove(allocation.id)
        return None

    def decide_behind(self, hold: Hold) -> list[Grant]:
        """Return what is granted once a hold that is cleaned is over, as if it were over already.

        Nothing where that may change what somebody may have.
        """
        resource = self._view.resources.get(hold.resource)
        if resource is None or not self.queue_length or self.accounts.has_quotas:
            return []
        self._plan_with(without(resource, hold))
        grants = self.decide()
        taken = {placed.resource for grant in grants for placed in grant.hosts.values()}
        if resource.name not in taken:
            self._take_in_resource(resource.name)
        return grants

    def take_back(self, grant: Grant) -> None:
        """Plan anew what was decided and not carried out."""
        self.ahead.discard(grant.request)
        self.accounts.settle(grant.request)
        for placed in grant.hosts.values():
            self._take_in_resource(placed.resource)
        allocation = self._view.allocations.get(grant.request)
        if allocation and allocation.state is AllocationState.QUEUED:
            self.planner.remove(allocation.id)
            self._enqueue(allocation)
        self.version += 1

    def asked(self, allocation: Allocation) -> RequestClass:
        """Return the matching class of an allocation."""
        return self.planner.classes.get(allocation.demands, stored_set(allocation.demands))

    @property
    def queue_length(self) -> int:
        """How many requests are queued."""
        return len(self.planner.queue)

    def impossible(self) -> list[Allocation]:
        """Return the queued requests that nothing registered can satisfy any longer."""
        return [self._view.allocations[each] for each in self.doubts.impossible()]

    def _reload(self) -> None:
        self.accounts.clear()
        self.granted.clear()
        self.giving_way.clear()
        self.ahead.clear()
        self._begin()
        view = self._view
        for resource in view.resources.values():
            self._take_in_resource(resource.name)
        for hold in view.holds.values():
            self._take_in_hold(Changed(None, hold))
        for allocation in view.allocations.values():
            self._note_allocation(allocation)
        self.planner.queue.refresh(self.clock.now_ms(), force=True)

    def _take_in_resource(self, name: str) -> None:
        resource = self._view.resources.get(name)
        if resource is None:
            self.planner.set_resource(name, None)
            return
        self._plan_with(resource)

    def _plan_with(self, resource: Resource) -> None:
        free_ms = self.planner.finder.free_again(resource.name, self._uses.ends_ms(resource))
        self.planner.set_resource(resource.name, self._standings.of(resource), free_ms)

    def _take_in_allocation(self, allocation_id: str, changed: Changed) -> None:
        before, after = changed.before, changed.after
        was = before.state if isinstance(before, Allocation) else None
        if was is AllocationState.QUEUED:
            self.planner.remove(allocation_id)
            self.doubts.forget(allocation_id)
            self.accounts.settle(allocation_id)
        if isinstance(before, Allocation) and was in _GRANTED:
            self._note_end(before, after)
        self.giving_way.pop(allocation_id, None)
        if isinstance(after, Allocation):
            self._note_allocation(after, before)
        else:
            self.planner.look_at(self.reservations.drop(allocation_id))

    def _note_allocation(self, allocation: Allocation, before: object = None) -> None:
        if allocation.preempt_ms and allocation.state in _GRANTED:
            self.giving_way[allocation.id] = None
        self.planner.look_at(self.reservations.note(allocation))
        if allocation.state is not AllocationState.QUEUED:
            self.ahead.discard(allocation.id)
        elif allocation.id not in self.ahead:
            self._enqueue(allocation)
        if allocation.state in _GRANTED and allocation.holds:
            self._note_grant(allocation, before)

    def _enqueue(self, allocation: Allocation) -> None:
        self.planner.add(
            Request(
                allocation.id,
                allocation.user,
                self.asked(allocation),
                BOOKED if allocation.book_until_ms else self.priority(allocation),
                allocation.turn,
                allocation.max_ms,
                allocation.book_until_ms,
                frozenset(allocation.excluded),
                self.reservations.names(allocation.id),
            )
        )
        self.doubts.note([allocation.id])

    def priority(self, allocation: Allocation) -> int:
        """Return the priority that counts for an allocation under the policy."""
        return self.policy.share_of(allocation.user).priority_of(allocation.priority)

    def _note_grant(self, allocation: Allocation, before: object) -> None:
        since_ms = allocation.since_ms
        self.granted[allocation.id] = None
        self.accounts.began(allocation.user, allocation.id, len(allocation.holds), since_ms)
        if not isinstance(before, Allocation) or before.grant_ms or before.book_until_ms:
            return
        self.past.waited(allocation.class_id, max(0, since_ms - before.since_ms))

    def _note_end(self, before: Allocation, after: object) -> None:
        if isinstance(after, Allocation) and after.state in _GRANTED:
            return
        self.granted.pop(before.id, None)
        if not isinstance(after, Allocation):
            now_ms = self.clock.now_ms()
            self.accounts.ended(before.user, before.id, self.clock.steady_ms(now_ms))
            return
        self.accounts.ended(before.user, before.id, after.since_ms)
        if before.state is AllocationState.READY:
            self.past.lasted(before.class_id, max(0, after.since_ms - before.since_ms))

    def _average(self, user: str, now_ms: int) -> float:
        return self.accounts.average(user, self.clock.steady_ms(now_ms))

    def _take_in_hold(self, changed: Changed) -> None:
        before, after = changed.before, changed.after
        delta = _is_live(after) - _is_live(before)
        hold = after if isinstance(after, Hold) else before
        if not isinstance(hold, Hold):
            return
        allocation = self._view.allocations.get(hold.allocation)
        user = allocation.user if allocation else ""
        if delta:
            self.planner.queue.hold(user, delta)
        if before is None:
            host = [(hold.cpus, len(hold.gpus), self.charging.labels(hold.resource))]
            self.accounts.charge(hold.id, user, hold.allocation, host)
        elif after is None:
            self.turnover.ends(hold.id, hold.resource)
            self._look_again(self.accounts.discharge(hold.id))
        elif delta < 0:
            self.turnover.begins(hold.id)

    def _look_again(self, user: str) -> None:
        """Look again at the requests of those who may have been over quota until now."""
        if not self.accounts.has_quotas:
            return
        shares_quota = self.accounts.members(user)
        for queue in list(self.planner.queue.users_in_order()):
            if shares_quota(queue.name):
                firsts = [of_class[0][2] for of_class in queue.by_class.values()]
                self.planner.look_again(firsts)


def _is_live(hold: object) -> bool:
    return isinstance(hold, Hold) and hold.state is not HoldState.CLEANING
