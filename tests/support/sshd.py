"""A real sshd on loopback, with its own keys, for the user who runs the tests."""

import contextlib
import getpass
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support import needs
from support.redis_server import free_port

_LIMIT_S = 40.0


@dataclass
class Sshd:
    port: int
    user: str
    key_file: Path
    #: The public key of the host, as one line.
    host_key: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return once it listens."""
        command = [needs.program("sshd"), "-D", "-e", "-f", str(self.folder / "sshd_config")]
        log = (self.folder / "sshd.log").open("ab")
        with log:
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
        while True:
            # `ssh-keyscan` returns once the server has answered, or refuses at once.
            if self.process.poll() is not None:
                raise AssertionError((self.folder / "sshd.log").read_text())
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), _LIMIT_S) as probe,
            ):
                if probe.recv(4) == b"SSH-":
                    return

    def stop(self) -> None:
        """End it and the sessions it has."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextlib.contextmanager
def running(folder: Path, *settings: str) -> Iterator[Sshd]:
    """Serve until the block ends; `settings` are further lines of its configuration."""
    needs.program("sshd")
    keygen = needs.program("ssh-keygen")
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "authorized_keys").write_bytes((folder / "user.pub").read_bytes())
    port = free_port()
    # A shell begins with what is in its user's home, which is none of the tests' and may take long.
    (folder / "sshd_config").write_text(f"""
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
SetEnv HOME={folder}
{chr(10).join(settings)}
""")
    Path("/run/sshd").mkdir(exist_ok=True)
    host_key = " ".join((folder / "host.pub").read_text().split()[:2])
    server = Sshd(port, getpass.getuser(), folder / "user", host_key, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
