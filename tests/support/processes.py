"""Looking whether processes are still there."""

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Say whether a process runs; what has ended may stay until somebody asks how."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
