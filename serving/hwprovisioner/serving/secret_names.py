"""What secrets are called, so that they are not shown where a file is quoted."""

from __future__ import annotations

import re

_WORDS = r"pass(?:word|phrase)|secret|token|credential|private|api_?key"
_NAME = re.compile(_WORDS, re.IGNORECASE)
#: A name and what stands after it, up to the end of the entry: `db_password: "hunter2"`.
_PAIR = re.compile(rf"((?:{_WORDS})[\w.-]*[\"']?\s*[:=]\s*)([^\s,}}\]][^,}}\]]*)", re.IGNORECASE)


def is_secret(name: object) -> bool:
    """Say whether what is called so is likely to be a secret."""
    return bool(_NAME.search(str(name)))


def masked(line: str) -> str:
    """Return a line with stars in the place of each secret; what else there is stays in place."""
    return _PAIR.sub(lambda found: found[1] + "*" * len(found[2]), line)
