"""The keys that demands know, apart from their conversion: the pytest plugin reads them cheaply."""

from __future__ import annotations

HOST_KEYS = ("kind", "kinds", "cpus", "memory", "gpus", "os", "labels", "resource")
"""What a host can be asked to be."""
GPU_KEYS = ("brand", "model", "memory", "count")
"""What a card can be asked to be."""
OS_KEYS = ("family", "distro", "version")
"""What an operating system can be asked to be."""
LONE_HOST = "host"
"""What the host is called when its keys are given directly."""
