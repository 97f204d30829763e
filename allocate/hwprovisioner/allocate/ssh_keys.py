"""The public key of a holder, as drivers put it where it lets them in."""

import base64
import binascii

from hwprovisioner.allocate.violations import Violations

LONGEST = 4_096
_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_EXAMPLE = "the one line of a file such as ~/.ssh/id_ed25519.pub"


def public_key(field: str, text: str, violations: Violations) -> str:
    """Check a public key in OpenSSH's form: a type, the key in base64, perhaps a comment.

    What is wrong is said without quoting it: people paste private keys. Options before the type are
    refused, since whoever reads the line would act on them.
    """
    if len(violations.text(field, text, LONGEST)) < len(text):
        return ""
    line = text.strip()
    if why := _why_not(line):
        violations.add(field, f"{why}: send {_EXAMPLE}")
    return line


def _why_not(line: str) -> str:
    """Return what is wrong with a line, empty for nothing."""
    if not line:
        return ""
    if "PRIVATE KEY" in line:
        return "is a private key, which nobody should be sent"
    if not line.isprintable():
        return "has more than one line, or characters that cannot be printed"
    kind, _, rest = line.partition(" ")
    if kind not in _TYPES:
        return f"does not begin with one of {', '.join(_TYPES)}"
    if not _is_of(kind, rest.strip().partition(" ")[0]):
        return f"is no {kind} key: it is cut off, or changed"
    return ""


def _is_of(kind: str, word: str) -> bool:
    """Return whether a key in base64 is whole and says itself that it is of a type."""
    try:
        blob = base64.b64decode(word, validate=True)
    except (binascii.Error, ValueError):
        return False
    parts = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        part, rest = blob[4 : 4 + size], blob[4 + size :]
        if len(blob) < 4 or len(part) < size:
            return False
        parts.append(part)
        blob = rest
    return len(parts) > 1 and parts[0] == kind.encode()
