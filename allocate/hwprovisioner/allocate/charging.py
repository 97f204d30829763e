"""What planning asks quotas: whether a request may have something, and that it gets it."""

from collections.abc import Mapping

from hwprovisioner.allocate.accounts import Accounts, Hosts
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.placement import Placed
from hwprovisioner.allocate.specs import stored_spec
from hwprovisioner.state.view import View


class Charging:
    """Asks `accounts` about the resources of `view`."""

    def __init__(self, accounts: Accounts, view: View) -> None:
        """Look resources up in `view`."""
        self._accounts = accounts
        self._view = view

    def over_least(self, request: Request) -> str:
        """Return why a user may not have what they ask for now, whatever it would be."""
        if not self._accounts.has_quotas:
            return ""
        return self._accounts.over_least(request.user, request.asked.demand.hosts)

    def over(self, request: Request, hosts: Mapping[str, Placed]) -> str:
        """Return why a user may not have just these now, empty if they may."""
        if not self._accounts.has_quotas:
            return ""
        return self._accounts.over(request.user, self._wanted(hosts))

    def charge(self, request: Request, hosts: Mapping[str, Placed]) -> None:
        """Count what is being granted as the user's."""
        if self._accounts.has_quotas:
            self._accounts.reserve(request.id, request.user, self._wanted(hosts))

    def labels(self, name: str) -> frozenset[tuple[str, str]]:
        """Return the labels of a resource."""
        resource = self._view.resources.get(name)
        return stored_spec(resource.spec).labels if resource else frozenset()

    def _wanted(self, hosts: Mapping[str, Placed]) -> Hosts:
        return [
            (each.share.cpus, len(each.share.gpus), self.labels(each.resource))
            for each in hosts.values()
        ]
