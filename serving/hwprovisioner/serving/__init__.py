"""What every service of the suite needs to serve.

Settings, errors, server, health, life cycle, logs. Knows nothing of the lab's state: the resource
manager uses this too.
"""

from hwprovisioner.serving.command import ServiceSettings, ServingSettings, run_service
from hwprovisioner.serving.errors import (
    CODES,
    DOMAIN,
    Refusal,
    Refused,
    Violation,
    bad_request,
    is_refusal,
    rich_status_of,
    status_of,
)
from hwprovisioner.serving.health import Readiness
from hwprovisioner.serving.interceptor import ErrorInterceptor
from hwprovisioner.serving.lifecycle import STARTED, WRONG_SETTINGS, run, serve
from hwprovisioner.serving.redis_address import redis_url, without_password
from hwprovisioner.serving.server import (
    MAX_REQUEST_BYTES,
    BindError,
    Service,
    bind,
    build_server,
    reserve,
)
from hwprovisioner.serving.settings import EnvReader, SettingsError, from_env, help_text

__all__ = [
    "CODES",
    "DOMAIN",
    "MAX_REQUEST_BYTES",
    "STARTED",
    "WRONG_SETTINGS",
    "BindError",
    "EnvReader",
    "ErrorInterceptor",
    "Readiness",
    "Refusal",
    "Refused",
    "Service",
    "ServiceSettings",
    "ServingSettings",
    "SettingsError",
    "Violation",
    "bad_request",
    "bind",
    "build_server",
    "from_env",
    "help_text",
    "is_refusal",
    "redis_url",
    "reserve",
    "rich_status_of",
    "run",
    "run_service",
    "serve",
    "status_of",
    "without_password",
]
