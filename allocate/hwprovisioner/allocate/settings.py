"""The settings of the service, from the environment."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from hwprovisioner.allocate.policy import DEFAULT_POLICY, Policy
from hwprovisioner.allocate.policy_file import PolicyError, read_policy
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
    policy_file: Path | None
    """None for the default policy, for ever."""
    policy: Policy
    """As it is at the start; `policy_watch.py` follows the file."""
    redis_url: str = field(repr=False)
    """May hold a password."""

    @classmethod
    def read(cls, env: EnvReader) -> Self:
        """Read all settings, and the policy file."""
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
            policy_file=(
                policy_file := env.path(
                    "HWP_POLICY_FILE", "the lab's policy in YAML; without it everything is allowed"
                )
            ),
            policy=_policy(policy_file, env),
        )


def _policy(file: Path | None, env: EnvReader) -> Policy:
    if file is None:
        return DEFAULT_POLICY
    try:
        return read_policy(file)
    except PolicyError as error:
        # A problem with no line is one of the whole file, which may not be there.
        hint = "" if error.problems[0].line else "; unset it if everything is to be allowed"
        for fault in error.faults:
            env.fault(f"HWP_POLICY_FILE: {fault}{hint}")
        return DEFAULT_POLICY
