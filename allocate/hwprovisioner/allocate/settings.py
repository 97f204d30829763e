"""The settings of the service, from the environment."""

from dataclasses import dataclass, field
from typing import Self

from hwprovisioner.serving import EnvReader, ServingSettings, redis_url
from hwprovisioner.state.keys import LAB_PATTERN
from hwprovisioner.state.transitions import Limits


@dataclass(frozen=True, slots=True)
class Settings:
    """What one can set."""

    serving: ServingSettings
    port: int
    lab: str
    limits: Limits
    redis_url: str = field(repr=False)
    """May hold a password."""

    @classmethod
    def read(cls, env: EnvReader) -> Self:
        """Read all settings."""
        return cls(
            serving=ServingSettings.read(env),
            port=env.integer("HWP_ALLOCATE_PORT", "port", default=8080, low=0, high=65535),
            redis_url=redis_url(env),
            lab=env.text(
                "HWP_LAB",
                "the lab that is served",
                default="default",
                pattern=LAB_PATTERN,
            ),
            limits=Limits(
                retention_ms=env.duration_ms(
                    "HWP_RETENTION", "how long ended allocations stay readable", default="1h"
                ),
                offer_ms=env.duration_ms(
                    "HWP_OFFER_LIMIT", "how long managers may take to answer", default="10s"
                ),
                silence_ms=env.duration_ms(
                    "HWP_SILENCE_LIMIT",
                    "after how long without a word a manager is taken for away",
                    default="15s",
                    low="100ms",
                ),
                lost_ms=env.duration_ms(
                    "HWP_LOST_LIMIT",
                    "after how long away a manager is given up",
                    default="1m",
                    low="100ms",
                ),
                tries=env.integer(
                    "HWP_PREPARE_TRIES",
                    "how often a preparation may fail before the allocation ends",
                    default=3,
                    low=1,
                    high=100,
                ),
            ),
        )
