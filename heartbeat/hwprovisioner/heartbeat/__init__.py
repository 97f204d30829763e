"""The heartbeat service: keeps allocations alive. Stateless; any number of replicas may run."""

from hwprovisioner.heartbeat.service import open_service
from hwprovisioner.heartbeat.settings import Settings

__all__ = ["Settings", "open_service"]
