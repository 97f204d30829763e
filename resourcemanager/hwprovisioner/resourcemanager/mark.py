"""What a manager marks all that it makes with.

Two managers may make instances on one engine or in one account for resources of the same name, of
two labs for instance. Neither must take the other's for its own, so the mark is as unique as what
knows of them: it stays with the journal, and a manager that begins without one has another mark.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path

from hwprovisioner.resourcemanager.errors import JournalError

#: It becomes part of names, of which engines take no other signs.
MARK = re.compile(r"[a-z0-9]{1,16}")
MARK_RULE = "1 to 16 of a-z 0-9"


def kept_mark(journal: Path) -> str:
    """Return the mark that is kept beside a journal; it is made if there is none.

    Raises:
        JournalError: It can be neither read nor written, or is none.
    """
    file = mark_file(journal)
    try:
        with contextlib.suppress(FileNotFoundError):
            return _checked(file, file.read_text(encoding="ascii").strip())
        mark = secrets.token_hex(4)
        new = file.with_name(f"{file.name}.new")
        with new.open("w", encoding="ascii") as stream:
            stream.write(f"{mark}\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, file)
        folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Nothing may be made before it is sure that its mark stays.
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no text"
        raise JournalError(f"mark {file}: {why or error}") from error
    return mark


def mark_file(journal: Path) -> Path:
    """Return where the mark that belongs to a journal is."""
    return journal.with_name(f"{journal.name}.mark")


def _checked(file: Path, mark: str) -> str:
    if not MARK.fullmatch(mark):
        message = f"mark {file}: {mark!r} should be {MARK_RULE}, as it was; put that back"
        raise JournalError(message)
    return mark
