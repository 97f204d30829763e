"""The keys that demands know, apart from their conversion: the pytest plugin reads them cheaply."""

from __future__ import annotations

ALTERNATIVE_KEYS = (
    "kind",
    "kinds",
    "cpus",
    "memory",
    "gpus",
    "os",
    "labels",
    "resource",
    "not_resources",
    "where",
    "provisioning",
)
"""What an alternative can be asked to be."""
HOST_KEYS = (*ALTERNATIVE_KEYS, "count", "any_of")
"""What a host can be asked to be."""
GPU_KEYS = ("brand", "model", "memory", "count")
"""What a card can be asked to be."""
OS_KEYS = ("family", "distro", "version")
"""What an operating system can be asked to be."""
PROVISIONING_KEYS = ("image", "disk", "parameters")
"""How a host can be asked to be made."""
RELATION_KEYS = ("same", "different")
"""What stands beside the hosts of a set: what they must have in common, or must not."""
LONE_HOST = "host"
"""What the host is called when its keys are given directly."""
