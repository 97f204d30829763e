"""What requests and allocations are known by: ids, tokens, digests."""

import base64
import hashlib
import json
import secrets

from hwprovisioner.state.model import Allocation


def token_of(request_id: str) -> str:
    """Return the token of the allocation that a request id makes.

    It follows from the request id, so that a repeated request gets the same token although only
    hashes of both are stored; and it does not tell the request id.
    """
    digest = hashlib.sha256(b"hwprovisioner token\0" + request_id.encode()).digest()
    return "hwp_" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def new_id() -> str:
    """Return an id that nobody has: 80 random bits, in characters that people can read out."""
    return base64.b32encode(secrets.token_bytes(10)).decode().lower()


def digest_of(allocation: Allocation) -> str:
    """Return what tells two requests with the same id apart, whoever sends them."""
    asked = (
        allocation.demands,
        allocation.priority,
        allocation.ttl_ms,
        allocation.wait_ms,
        allocation.max_ms,
        allocation.book_from_ms,
        allocation.book_until_ms,
        allocation.tolerates,
    )
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
