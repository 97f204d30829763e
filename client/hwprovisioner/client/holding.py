"""What the blocking and the asyncio `hardware` have in common: everything that does not wait."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

from hwprovisioner.client.errors import LeaseLost, WrongHost
from hwprovisioner.client.facts import Connection, Gpu, HostFacts, Os
from hwprovisioner.client.guessing import did_you_mean
from hwprovisioner.client.holder_key import NO_KEY, HolderKey
from hwprovisioner.client.lease import Lease
from hwprovisioner.client.session import LostCallback, Session


class HeldHost:
    """A granted host. What it is stays readable; how to reach it does not outlive the lease."""

    __slots__ = ("_facts", "_lease")

    def __init__(self, facts: HostFacts, lease: Lease) -> None:
        self._facts = facts
        self._lease = lease

    def __repr__(self) -> str:
        return f"<host {self.name!r}: {self.resource}, {self.cpus} cpus>"

    @property
    def facts(self) -> HostFacts:
        """Everything that is known of it as one value; asks nobody whether it may be used."""
        return self._facts

    @property
    def lease(self) -> Lease:
        """The lease that it is held by."""
        return self._lease

    @property
    def name(self) -> str:
        """As the demand calls it; `host` when the demand's keys were given directly."""
        return self._facts.name

    @property
    def resource(self) -> str:
        """The resource behind it."""
        return self._facts.resource

    @property
    def kind(self) -> str:
        """Such as `virtual-machine`; empty if not known."""
        return self._facts.kind

    @property
    def cpus(self) -> int:
        """Logical processors that it has for this allocation; 0 if not known."""
        return self._facts.cpus

    @property
    def memory_bytes(self) -> int:
        """Main memory that it has for this allocation; 0 if not known."""
        return self._facts.memory_bytes

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """The cards that it has for this allocation."""
        return self._facts.gpus

    @property
    def os(self) -> Os:
        """Its operating system."""
        return self._facts.os

    @property
    def labels(self) -> Mapping[str, str]:
        """Free words about it, each with or without a value."""
        return self._facts.labels

    @property
    def connection(self) -> Connection:
        """How to reach it.

        Raises:
            LeaseLost: It must not be reached any more.
        """
        self._lease.check()
        return self._facts.connection

    @property
    def address(self) -> str:
        """Its host name or address; `localhost` for this very machine.

        Raises:
            LeaseLost: It must not be reached any more.
        """
        connection = self.connection
        return connection.address or ("localhost" if connection.protocol == "local" else "")


AnyHost = TypeVar("AnyHost", bound=HeldHost)


class Held(Generic[AnyHost]):
    """Allocated hardware. Every use of its hosts after the loss raises `LeaseLost`."""

    def __init__(
        self, session: Session, hosts: Mapping[str, AnyHost], key: HolderKey = NO_KEY
    ) -> None:
        self._session = session
        self._key = key
        self._hosts = MappingProxyType(dict(hosts))

    def __repr__(self) -> str:
        hosts = ", ".join(f"{host.name}={host.resource}" for host in self._hosts.values())
        return f"<hardware {self.allocation_id}: {hosts}>"

    @property
    def session(self) -> Session:
        """What keeps it."""
        return self._session

    @property
    def all_hosts(self) -> Mapping[str, AnyHost]:
        """The hosts by name, whether or not they may be used."""
        return self._hosts

    @property
    def allocation_id(self) -> str:
        """Unique in the lab for ever."""
        return self._session.lease.allocation_id

    @property
    def token(self) -> str:
        """The secret that goes with it: for heartbeats and a release by somebody else."""
        return self._session.token

    @property
    def key(self) -> HolderKey:
        """The key pair that hosts let the holder in with, if they ask for one."""
        return self._key

    @property
    def waited_s(self) -> float:
        """Seconds from the request to ready hosts."""
        return self._session.waited_s

    @property
    def beats(self) -> int:
        """How many heartbeats the lab has accepted."""
        return self._session.lease.beats

    @property
    def resources(self) -> Mapping[str, str]:
        """The resource behind each host, by the host's name; readable after the loss, too."""
        return {name: host.resource for name, host in self._hosts.items()}

    @property
    def hosts(self) -> Mapping[str, AnyHost]:
        """The hosts by name.

        Raises:
            LeaseLost: They must not be used any more.
        """
        self.check()
        return self._hosts

    @property
    def host(self) -> AnyHost:
        """The host, when there is just one.

        Raises:
            WrongHost: There are several; `hardware["name"]` says which one is meant.
            LeaseLost: It must not be used any more.
        """
        hosts = self.hosts
        if len(hosts) == 1:
            return next(iter(hosts.values()))
        names = ", ".join(hosts)
        raise WrongHost(
            f"the allocation has {len(hosts)} hosts ({names}), so `hardware.host` could be any of"
            f" them; write hardware[{next(iter(hosts))!r}]",
            reason="SEVERAL_HOSTS",
            metadata={"hosts": names},
        )

    def __getitem__(self, name: str) -> AnyHost:
        """Gives the host of that name.

        Raises:
            WrongHost: There is none.
            LeaseLost: It must not be used any more.
        """
        hosts = self.hosts
        if name in hosts:
            return hosts[name]
        raise WrongHost(
            f"the allocation has no host {name!r}{did_you_mean(name, hosts)}; it has"
            f" {', '.join(hosts)}",
            reason="NO_SUCH_HOST",
            metadata={"host": name},
        )

    def copies(self, name: str) -> tuple[AnyHost, ...]:
        """Gives the hosts of a demand with a count, in order: `NAME-1`, `NAME-2` and so on.

        Without a count, or with one of 1, it is the one host.

        Raises:
            WrongHost: There is none.
            LeaseLost: They must not be used any more.
        """
        hosts = self.hosts
        names = itertools.takewhile(hosts.__contains__, (f"{name}-{n}" for n in itertools.count(1)))
        return tuple(hosts[each] for each in names) or (self[name],)

    def __iter__(self) -> Iterator[AnyHost]:
        return iter(self.hosts.values())

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def lost(self) -> LeaseLost | None:
        """Why the hosts must not be used any more; None while they may be."""
        return self._session.lease.loss

    def check(self) -> None:
        """Does nothing while the hosts may be used.

        Raises:
            LeaseLost: They must not.
        """
        self._session.lease.check()

    def on_lost(self, callback: LostCallback) -> None:
        """Has a callback called once, at once, when the lease is lost before it was given back.

        It is called on the event loop of the SDK: it must be quick, and must not wait for the SDK.
        """
        self._session.on_lost(callback)
