"""The settings of a resource manager, from the environment."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hwprovisioner.resourcemanager.mark import MARK, MARK_RULE
from hwprovisioner.resourcemanager.model import NAME, NAME_RULE
from hwprovisioner.serving import EnvReader, ServingSettings

_TARGET = re.compile(r"[^\s/]+:\d{1,5}|unix:.+|(dns|ipv4|ipv6):.+")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a resource manager lets one set."""

    serving: ServingSettings
    #: Where the lab's Allocate service is.
    allocate_api: str
    config_file: Path
    #: Empty leaves it to the file, then to the host's name.
    manager_id: str
    #: `None` makes one of the manager's id.
    journal: Path | None
    state_folder: Path
    #: What it marks all that it makes with; empty is the one that is kept beside the journal.
    mark: str
    #: Health and reflection; 0 is any that is free.
    port: int

    @classmethod
    def read(cls, env: EnvReader) -> Self:
        """Read every setting."""
        manager_id = env.text(
            "HWP_MANAGER_ID", "its name in the lab; else manager.id of the file, else the host's"
        )
        if manager_id and not NAME.fullmatch(manager_id):
            env.fault(f"HWP_MANAGER_ID={manager_id}: should be {NAME_RULE}")
        folder = env.path("HWP_STATE_DIR", "folder of the journal", default=state_folder())
        assert folder is not None
        return cls(
            serving=ServingSettings.read(env),
            allocate_api=_target(env),
            config_file=_config_file(env),
            manager_id=manager_id,
            journal=env.path(
                "HWP_JOURNAL", "its journal; else resourcemanager-ID.journal in HWP_STATE_DIR"
            ),
            state_folder=folder,
            mark=_mark(env),
            port=env.integer(
                "HWP_MANAGER_PORT", "port of health and reflection", default=9080, low=0, high=65535
            ),
        )

    def id_for(self, in_file: str) -> str:
        """Return the manager's id, given the one in the resources file, if there is one."""
        return self.manager_id or in_file or host_id(socket.gethostname())

    def journal_for(self, manager_id: str) -> Path:
        """Return where the journal of a manager is."""
        return self.journal or self.state_folder / f"resourcemanager-{manager_id}.journal"


def host_id(host_name: str) -> str:
    """Return a host's name as a manager's id."""
    word = re.sub(r"[^a-z0-9._-]", "-", host_name.lower())[:63].strip("._-")
    return word or "manager"


def _mark(env: EnvReader) -> str:
    mark = env.text(
        "HWP_MARK", "what it makes is marked with; else what is kept in JOURNAL.mark, made once"
    )
    if mark and not MARK.fullmatch(mark):
        env.fault(f"HWP_MARK={mark}: should be {MARK_RULE}")
    return mark


def _target(env: EnvReader) -> str:
    spare = env.text("HWP_ALLOCATE_API", "stands in for ALLOCATE_API")
    target = env.text(
        "ALLOCATE_API", "host:port of the lab's Allocate service", default="localhost:8080"
    )
    if spare and target == "localhost:8080":
        target = spare
    if not _TARGET.fullmatch(target):
        env.fault(f"ALLOCATE_API={target}: is not host:port, such as lab.example.com:8080")
    return target


def _config_file(env: EnvReader) -> Path:
    spare = env.path("HWP_CONFIG_FILE", "stands in for CONFIG_FILE")
    file = env.path("CONFIG_FILE", "the resources file", default=spare or Path("resources.yml"))
    assert file is not None
    return file


def state_folder() -> Path:
    """Return where a manager on this machine keeps what it has to find again."""
    if own := os.environ.get("HWP_STATE_DIR"):
        return Path(own)
    home = os.environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    return base / "hwprovisioner"
