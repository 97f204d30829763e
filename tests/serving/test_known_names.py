import re
from pathlib import Path

from hwprovisioner.serving.known_names import KNOWN_NAMES, KNOWN_PREFIXES

ROOT = Path(__file__).parents[2]
PARTS = ("state", "serving", "allocate", "heartbeat", "resourcemanager", "client", "suite")
# In quotes, so that names in prose and examples do not count.
NAME = re.compile(r"[\"'](HWP_[A-Z0-9_]+)[\"']")


def test_every_setting_that_is_read_is_known() -> None:
    """A name that is missing in known_names.py is refused by services that do not read it."""
    read = {
        name
        for part in PARTS
        for file in (ROOT / part).rglob("*.py")
        for name in NAME.findall(file.read_text())
    }
    unknown = {name for name in read if not name.startswith(KNOWN_PREFIXES)} - KNOWN_NAMES
    assert not unknown, "add them to serving/hwprovisioner/serving/known_names.py"
