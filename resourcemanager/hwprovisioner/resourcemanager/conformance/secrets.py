"""Which options are secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import SecretStr

from hwprovisioner.resourcemanager.model import Resource

_NAME = re.compile(r"pass(word|phrase)|secret|token|credential|private|api_?key", re.IGNORECASE)


def secrets_of(resource: Resource) -> Iterator[str]:
    """Yield each option of type `SecretStr`, and each text whose name is that of a secret."""
    found = _within(resource.options.model_dump(), is_secret=False)
    yield from (secret for secret in found if secret)


def _within(value: object, *, is_secret: bool) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _within(one, is_secret=is_secret or bool(_NAME.search(str(name))))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _within(one, is_secret=is_secret)
    elif is_secret and isinstance(value, str):
        yield value
