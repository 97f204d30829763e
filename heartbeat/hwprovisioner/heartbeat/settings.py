"""The settings of the heartbeat service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from hwprovisioner.serving import EnvReader, ServingSettings, from_env, redis_url
from hwprovisioner.state.keys import LAB_PATTERN

DEFAULT_PORT = 7080


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the heartbeat service."""

    serving: ServingSettings
    port: int
    workers: int
    """So many processes share the port."""
    lab: str
    outage_limit_ms: int
    """For so long leases are paused when this replica is silent."""
    redis_url: str = field(repr=False)
    """May hold a password."""

    @classmethod
    def read(cls, env: EnvReader) -> Self:
        """Read every setting; leave the checking to the caller."""
        return cls(
            serving=ServingSettings.read(env),
            port=env.integer(
                "HWP_HEARTBEAT_PORT",
                "port to listen on; 0 for any",
                default=DEFAULT_PORT,
                low=0,
                high=65535,
            ),
            workers=env.integer(
                "HWP_WORKERS",
                "how many processes share the port, each on a core of its own; or `--workers N`",
                default=1,
                low=1,
                high=256,
            ),
            lab=env.text(
                "HWP_LAB",
                "the lab it is for, as in allocate",
                default="default",
                pattern=LAB_PATTERN,
            ),
            outage_limit_ms=env.duration_ms(
                "HWP_OUTAGE_LIMIT",
                "how long leases are paused when this replica falls silent, or cannot reach Redis",
                default="150s",
                low="10s",
                high="1d",
            ),
            redis_url=redis_url(env),
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            SettingsError: something is wrong with them.
        """
        return from_env(cls, environ)
