"""The agent that represents resources to a lab: volunteers them, readies them up, tears them down.

What is public here is what a driver is written against (docs/drivers/) and what reads resources
files.
"""

from hwprovisioner.resourcemanager.config import Config, parse_config, read_config
from hwprovisioner.resourcemanager.driver import Channel, Driver, Report
from hwprovisioner.resourcemanager.errors import (
    ConfigError,
    DriverError,
    DriverNotUsable,
    JournalError,
    Later,
    ManagerError,
)
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import (
    Access,
    Connection,
    Division,
    Facts,
    Gpu,
    Hold,
    Instance,
    Kind,
    Makes,
    NoOptions,
    OperatingSystem,
    Power,
    Resource,
    Share,
    TimeLimits,
)
from hwprovisioner.serving.problems import Problem

__all__ = [
    "Access",
    "Channel",
    "Config",
    "ConfigError",
    "Connection",
    "Division",
    "Driver",
    "DriverError",
    "DriverNotUsable",
    "Facts",
    "Gpu",
    "Hold",
    "Instance",
    "JournalError",
    "Kind",
    "Later",
    "Maker",
    "Makes",
    "ManagerError",
    "NoOptions",
    "OperatingSystem",
    "Power",
    "Problem",
    "Report",
    "Resource",
    "Share",
    "TimeLimits",
    "parse_config",
    "read_config",
]
