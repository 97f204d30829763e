"""The one place that imports gRPC, because something must be said before gRPC starts.

Tests fork (multiprocessing, up to Python 3.13). While an asyncio channel was open, gRPC's own fork
handlers crashed one child in six right after the fork (1.85: 12 of 66 tried); without them, none of
14. Whoever wants them says so in the environment.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

__all__ = ["grpc"]
