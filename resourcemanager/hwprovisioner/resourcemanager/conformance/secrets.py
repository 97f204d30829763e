"""Which options are secrets."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import SecretStr

from hwprovisioner.resourcemanager.model import Resource
from hwprovisioner.serving.secret_names import is_secret


def secrets_of(resource: Resource) -> Iterator[str]:
    """Yield each option of type `SecretStr`, and each text whose name is that of a secret."""
    found = _within(resource.options.model_dump(), is_hidden=False)
    yield from (secret for secret in found if secret)


def _within(value: object, *, is_hidden: bool) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _within(one, is_hidden=is_hidden or is_secret(name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _within(one, is_hidden=is_hidden)
    elif is_hidden and isinstance(value, str):
        yield value
