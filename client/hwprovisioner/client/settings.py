"""Where the lab is and how patient the SDK is with it: the one place that reads the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwprovisioner.client.errors import BadDemand

ALLOCATE_PORT = 8080
HEARTBEAT_PORT = 7080


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the SDK, each with its default."""

    allocate_address: str = f"127.0.0.1:{ALLOCATE_PORT}"
    """Host and port of the Allocate service; environment ALLOCATE_API."""
    heartbeat_address: str = f"127.0.0.1:{HEARTBEAT_PORT}"
    """Host and port of the Heartbeat service; environment HEARTBEAT_API."""
    rpc_timeout_s: float = 10.0
    """Deadline of each unary call. A lab answers in milliseconds; this is for dead networks."""
    beat_timeout_s: float = 5.0
    """Deadline of one heartbeat: several must fit into a lease of half a minute."""
    contact_limit_s: float = 10.0
    """How long to try to reach a lab that has not answered yet: a restart of it fits in;
    environment HWP_CONTACT_LIMIT_S."""
    silence_limit_s: float = 300.0
    """How long a waiting request goes on trying when the lab has gone silent: an outage fits in."""
    release_limit_s: float = 5.0
    """How long the end of a block tries to give the allocation back; after that it expires."""

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str],
        *,
        allocate_address: str | None = None,
        heartbeat_address: str | None = None,
    ) -> Settings:
        """Reads the settings; what is given here wins over the environment.

        Raises:
            BadDemand: An address is not `host`, `host:port` or `grpc://host:port`, or a limit is
                no number.
        """
        return cls(
            contact_limit_s=read_seconds(
                environ.get("HWP_CONTACT_LIMIT_S") or cls.default("contact_limit_s"),
                "HWP_CONTACT_LIMIT_S",
            ),
            allocate_address=read_address(
                allocate_address or environ.get("ALLOCATE_API") or cls.default("allocate_address"),
                ALLOCATE_PORT,
                "ALLOCATE_API",
            ),
            heartbeat_address=read_address(
                heartbeat_address
                or environ.get("HEARTBEAT_API")
                or cls.default("heartbeat_address"),
                HEARTBEAT_PORT,
                "HEARTBEAT_API",
            ),
        )

    @classmethod
    def default(cls, name: str) -> str:
        """Gives the default of a setting as text."""
        return str(cls.__dataclass_fields__[name].default)


def read_seconds(text: str, name: str) -> float:
    """Reads a limit in seconds.

    Raises:
        BadDemand: It is no number, or below zero.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise BadDemand(
            f"{name}: {text!r} is no number of seconds from 0 to 86400",
            reason="BAD_SETTING",
            metadata={"name": name, "value": text},
        )
    return seconds


def read_address(text: str, default_port: int, name: str) -> str:
    """Brings `host`, `host:port` or `grpc://host:port` to `host:port`.

    IPv6 addresses stand in brackets. Other targets that gRPC knows (`unix:`) are left alone.

    Raises:
        BadDemand: It is none of these.
    """
    target = text.strip().removeprefix("grpc://").removeprefix("http://").rstrip("/")
    if target.startswith(("unix:", "dns:", "ipv4:", "ipv6:")):
        return target
    host, colon, port = target.rpartition(":")
    if not colon or target.endswith("]"):
        host, port = target, str(default_port)
    if not host or "/" in target or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadDemand(
            f"{name}: {text!r} is no address; write host:port, such as 127.0.0.1:{default_port}",
            reason="BAD_ADDRESS",
            metadata={"name": name, "address": text},
        )
    return f"{host}:{port}"
