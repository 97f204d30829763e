"""Lists in pages: ordered by a key, each page's token names the last key of the page before."""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import TypeVar

from hwprovisioner.serving import bad_request

DEFAULT_SIZE = 100
MAX_SIZE = 1000

T = TypeVar("T")


def page(
    records: Iterable[T], key: Callable[[T], str], size: int, token: str
) -> tuple[list[T], str]:
    """Return one page and the token of the next, which is empty at the end.

    Args:
        records: all that there are, in any order.
        key: what they are ordered by, unique.
        size: how many, 0 for the default; more than the maximum is cut.
        token: of this page, empty for the first.

    Raises:
        Refused: BAD_REQUEST if the size is negative or the token is none of ours.
    """
    if size < 0:
        raise bad_request([("page_size", f"is {size}, must not be negative; 0 means the default")])
    limit = min(size or DEFAULT_SIZE, MAX_SIZE)
    ordered = sorted(records, key=key)
    start = bisect_right(ordered, _decoded(token), key=key) if token else 0
    found = ordered[start : start + limit]
    more = start + limit < len(ordered)
    return found, _encoded(key(found[-1])) if more else ""


def _encoded(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _decoded(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        said = "is not a next_page_token of this list: leave it empty for the first page"
        raise bad_request([("page_token", said)]) from error
