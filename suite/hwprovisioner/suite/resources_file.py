"""Which resources.yml the resource manager gets."""

from collections.abc import Mapping
from pathlib import Path

from .errors import BadInput
from .state_folder import StateFolder, write_atomically

_THIS_MACHINE = """\
# Made by `hwp up` as no other file was named (--config, CONFIG_FILE). Your changes are kept.
# This machine itself; its cores, memory, GPUs and operating system are detected.
resources:
  static:
    local:
      driver: local
"""


def settle(option: Path | None, environ: Mapping[str, str], folder: StateFolder) -> Path:
    """Return the file to use: the named one, else one that lends this machine.

    Raises:
        BadInput: the named one is not there.
    """
    if option is not None:
        return _existing(option, "--config")
    if named := environ.get("CONFIG_FILE", "").strip():
        return _existing(Path(named), "CONFIG_FILE")
    path = folder.path / "resources.yml"
    if not path.exists():
        write_atomically(path, _THIS_MACHINE)
    return path


def _existing(named: Path, said_by: str) -> Path:
    path = named.expanduser().absolute()
    if not path.is_file():
        raise BadInput(f"{said_by}: there is no file {path}")
    return path
