"""Driver `ssh`: a server or device reached by SSH, where commands ready it up and clean it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import asyncssh
from pydantic import BaseModel

from hwprovisioner.resourcemanager.driver import Channel, Driver, Report
from hwprovisioner.resourcemanager.drivers import _relay, _ssh_health
from hwprovisioner.resourcemanager.drivers._ssh_access import EphemeralAccess
from hwprovisioner.resourcemanager.drivers._ssh_dial import Forwarded
from hwprovisioner.resourcemanager.drivers._ssh_facts import facts
from hwprovisioner.resourcemanager.drivers._ssh_login import (
    ANY_KEY,
    OutOfReach,
    connect,
    connected,
    pinned,
)
from hwprovisioner.resourcemanager.drivers._ssh_machine import Machine
from hwprovisioner.resourcemanager.drivers._ssh_options import SshOptions
from hwprovisioner.resourcemanager.drivers._ssh_steps import beginning_beside
from hwprovisioner.resourcemanager.drivers._waiting import until
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import (
    Access,
    Connection,
    Facts,
    Hold,
    Kind,
    Power,
    Resource,
)
from hwprovisioner.serving.problems import Path


class SshDriver(Driver):
    """Lends a machine as it is after its ready-up commands."""

    Options: ClassVar[type[BaseModel]] = SshOptions
    default_kind: ClassVar[Kind | None] = Kind.PHYSICAL_SERVER

    @classmethod
    def verify(cls, resource: Resource) -> Iterable[tuple[Path, str]]:
        """Yield what is wrong with its access."""
        access = resource.access
        if access is None:
            yield ("access",), "is needed by driver ssh, as in `access: {host: 192.168.1.10}`"
            return
        if access.host_key not in ("", ANY_KEY):
            try:
                pinned(access.host_key)
            except asyncssh.KeyImportError as error:
                message = f"should be a public key as ssh-keyscan prints it, or `any`: {error}"
                yield ("access", "host_key"), message
        yield from _about_ephemeral(resource, access)

    @property
    def has_power(self) -> bool:
        """Whether the options say how."""
        return self._options.power is not None

    @property
    def has_console(self) -> bool:
        """Whether the options say how."""
        return self._options.console is not None

    @property
    def has_repair(self) -> bool:
        """Power can be cycled where there is power control."""
        return self.has_power

    async def describe(self) -> Facts:
        """Ask the machine what it is."""
        async with connected(self._access) as connection:
            return await facts(connection)

    async def check(self) -> None:
        """Log in, see whether it is well, and whether access can be given and taken."""
        async with connected(self._access) as connection:
            if self._ephemeral is not None:
                await self._ephemeral.check(connection)
            await _ssh_health.check(connection, self._options)

    async def prepare(self, hold: Hold, report: Report) -> Connection:
        """Take the ready-up steps, see that the machine answers, and let the holder in."""
        async with self._reached(report) as machine:
            await machine.take(self._options.ready_up)
            connection = await machine.connection()
            if self._ephemeral is not None:
                report("letting the holder in")
                await self._ephemeral.admit(connection, hold)
        return self._connection

    async def tear_down(self, hold: Hold, report: Report) -> None:
        """Let the holder out, and take the tear-down steps.

        A machine that is out of reach is left to `clean`, if that can begin without it.
        """
        async with self._reached(report) as machine:
            try:
                await self._let_out(machine)
                await machine.take(self._options.tear_down)
            except OutOfReach as error:
                if not beginning_beside(self._options.clean):
                    raise
                report(f"what cannot be reached is left to its cleaning: {error}")
                await machine.take([step for step in self._options.tear_down if step.manager])

    async def clean(self, hold: Hold, report: Report) -> None:
        """Make sure that nobody is in, and take the cleaning steps.

        If nobody can be let out, what is done from outside comes first, and then nobody is in.
        """
        steps, beside = self._options.clean, beginning_beside(self._options.clean)
        async with self._reached(report) as machine:
            try:
                await self._let_out(machine)
            except OutOfReach as error:
                if not beside:
                    raise
                report(f"whoever is in is let out later: {error}")
                await machine.take(beside)
                await self._let_out(machine)
                steps = steps[len(beside) :]
            await machine.take(steps)

    async def repair(self, trouble: str, report: Report) -> None:
        """Cycle the power, and wait until the machine is well."""
        if not self.has_power:
            await super().repair(trouble, report)
        await self.power(Power.CYCLE, None, report)

        async def look() -> str:
            try:
                await self.check()
            except DriverError as error:
                return str(error)
            return ""

        await until(look, "SSH", report)

    async def power(self, action: Power, hold: Hold | None, report: Report) -> None:
        """Run the program that switches it."""
        if self._options.power is None:
            raise DriverError("its entry names no programs for its power: `power` in `options`")
        await _relay.switch(self._options.power, action, report)

    async def console(self, hold: Hold) -> Channel:
        """Run the program that is its console."""
        if self._options.console is None:
            raise DriverError("its entry names no program for a console: `console` in `options`")
        console = await _relay.Console.start(self._options.console)
        return console, console

    async def dial(self, hold: Hold, connection: Connection, port: int) -> Channel:
        """Have the machine connect to a port of its own."""
        channel = await Forwarded.open(await connect(self._access), port)
        return channel, channel

    @property
    def _options(self) -> SshOptions:
        assert isinstance(self.resource.options, SshOptions)
        return self.resource.options

    @property
    def _access(self) -> Access:
        assert self.resource.access is not None
        return self.resource.access

    @property
    def _ephemeral(self) -> EphemeralAccess | None:
        if not self._access.ephemeral:
            return None
        options = self._options
        return EphemeralAccess(self.resource.name, options.lent_user, options.authorized_keys)

    @property
    def _connection(self) -> Connection:
        access = self._access
        lent_user = self._options.lent_user if access.ephemeral else ""
        return Connection(
            protocol="ssh",
            address=access.host,
            port=access.port,
            user=lent_user or access.user,
            # The manager's own key is nobody else's business where holders have theirs.
            key_file="" if access.ephemeral else access.key_file,
            properties={"host_key": _plain(access.host_key)} if access.host_key else {},
        )

    def _reached(self, report: Report) -> AbstractAsyncContextManager[Machine]:
        return Machine.reached(self._access, self._options.boot_id, report)

    async def _let_out(self, machine: Machine) -> None:
        """Let the holder out, where it was let in with its own key.

        Raises:
            OutOfReach: It cannot be done.
        """
        if self._ephemeral is None:
            return
        connection = await machine.connection()
        try:
            await self._ephemeral.evict(connection)
        except DriverError as error:
            raise OutOfReach(f"its holder cannot be let out: {error}") from error


def _plain(host_key: str) -> str:
    """Return keys as holders are told them: without what ssh-keyscan prints beside them."""
    if host_key == ANY_KEY:
        return host_key
    words = [key.export_public_key().decode().split() for key in pinned(host_key)]
    return "\n".join(f"{kind} {key}" for kind, key, *_ in words)


def _about_ephemeral(resource: Resource, access: Access) -> Iterable[tuple[Path, str]]:
    assert isinstance(resource.options, SshOptions)
    if access.ephemeral and resource.division is not None:
        message = (
            "is for static resources: several holders at once would log in as the same user, whose"
            " sessions cannot be told apart"
        )
        yield ("access", "ephemeral"), message
    elif resource.options.lent_user and not access.ephemeral:
        yield ("options", "lent_user"), "means nothing without `ephemeral: true` under `access`"
