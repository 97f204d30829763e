"""What the list calls of a lab give: all pages as one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item", covariant=True)
Page = TypeVar("Page")

PAGE_SIZE = 1_000
"""As many as the lab gives at once."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """Everything that a list call gave."""

    items: tuple[Item, ...]
    """In the order of the lab."""
    revision: int
    """The lab's revision when the first page was made: watching from there misses nothing."""

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Item:
        return self.items[index]


async def all_pages(
    fetch: Callable[[str], Awaitable[Page]],
    read: Callable[[Page], tuple[Sequence[Item], str, int]],
) -> Listing[Item]:
    """Fetches page after page.

    Args:
        fetch: Asks for the page with this token.
        read: Takes the items, the next page's token and the revision out of a page.
    """
    items: list[Item] = []
    first_revision: int | None = None
    token = ""
    while True:
        page_items, token, revision = read(await fetch(token))
        items.extend(page_items)
        first_revision = revision if first_revision is None else first_revision
        if not token:
            return Listing(tuple(items), first_revision)
