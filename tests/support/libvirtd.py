"""A libvirtd of its own, for the user `nobody`: root's would be the machine's."""

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support import needs

_LOOK_S = 0.05


@dataclass(frozen=True)
class Libvirtd:
    uri: str
    #: Where its machines may read and write.
    folder: Path
    pid: int


@contextlib.contextmanager
def running() -> Iterator[Libvirtd]:
    """Run it, with a pool `default` in `folder`/pool."""
    program, setpriv = needs.program("libvirtd"), needs.program("setpriv")
    libvirt = needs.module("libvirt")
    # Not pytest's folder: only its owner may look into that.
    folder = Path(tempfile.mkdtemp(prefix="hwp-libvirt-"))
    try:
        for name in ("run", "pool"):
            (folder / name).mkdir()
        folder.chmod(0o755)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "nobody", "nogroup")
        become = [setpriv, "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        home = ["env", f"HOME={folder}", f"XDG_RUNTIME_DIR={folder}/run"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*become, *home, program], stdout=subprocess.PIPE, stderr=log, cwd=folder
            )
        try:
            socket = folder / "run" / "libvirt" / "libvirt-sock"
            while not socket.exists():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_S)
                    raise AssertionError((folder / "log").read_text())
            uri = f"qemu+unix:///session?socket={socket}"
            host = libvirt.open(uri)
            pool = f"<target><path>{folder}/pool</path></target>"
            host.storagePoolCreateXML(f"<pool type='dir'><name>default</name>{pool}</pool>", 0)
            yield Libvirtd(uri, folder, process.pid)
            host.close()
        finally:
            process.terminate()
            process.communicate()
    finally:
        shutil.rmtree(folder)
