"""Ports of a machine, as seen from there, by SSH."""

from __future__ import annotations

import contextlib

import asyncssh

from hwprovisioner.resourcemanager.errors import DriverError


class Forwarded:
    """A TCP connection that a machine opens for us; both ends of the channel in one.

    It has an SSH connection to itself, which is closed with it.
    """

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        reader: asyncssh.SSHReader[bytes],
        writer: asyncssh.SSHWriter[bytes],
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection, port: int) -> Forwarded:
        """Connect to a port there. A connection on which it does not work is closed.

        Raises:
            DriverError: Nothing answers, or the machine forwards nothing.
        """
        try:
            reader, writer = await connection.open_connection("localhost", port, encoding=None)
        except BaseException as error:
            connection.abort()
            if not isinstance(error, OSError | asyncssh.Error):
                raise
            why = error.reason if isinstance(error, asyncssh.Error) else error.strerror
            raise DriverError(f"port {port} does not answer: {why or error}") from error
        return cls(connection, reader, writer)

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, none at the end."""
        try:
            return await self._reader.read(n)
        except asyncssh.Error as error:
            raise ConnectionResetError(f"connection lost: {error.reason}") from error

    def write(self, data: bytes) -> None:
        """Send bytes, some time."""
        with contextlib.suppress(OSError):
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until more can be sent."""
        try:
            await self._writer.drain()
        except asyncssh.Error as error:
            raise ConnectionResetError(f"connection lost: {error.reason}") from error

    def write_eof(self) -> None:
        """Say that no more will be sent."""
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    def close(self) -> None:
        """Close both directions, and the SSH connection."""
        self._writer.close()
        self._connection.close()
