"""The agent that represents resources to a lab: volunteers them, readies them up, tears them down.

What is public here is what a driver is written against (docs/drivers/) and what reads resources
files.
"""

from hwprovisioner.resourcemanager.config import Config, parse_config, read_config
from hwprovisioner.resourcemanager.driver import Driver, Report
from hwprovisioner.resourcemanager.errors import (
    ConfigError,
    DriverError,
    DriverNotUsable,
    JournalError,
    ManagerError,
)
from hwprovisioner.resourcemanager.model import (
    Access,
    Connection,
    Division,
    Facts,
    Gpu,
    Hold,
    Kind,
    NoOptions,
    OperatingSystem,
    Resource,
    Share,
    TimeLimits,
)
from hwprovisioner.serving.problems import Problem

__all__ = [
    "Access",
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
    "JournalError",
    "Kind",
    "ManagerError",
    "NoOptions",
    "OperatingSystem",
    "Problem",
    "Report",
    "Resource",
    "Share",
    "TimeLimits",
    "parse_config",
    "read_config",
]
