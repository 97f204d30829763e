"""Driver `ssh` for a machine on which a real sshd runs."""

from hwprovisioner.resourcemanager import Access, Driver, Hold, Kind, Resource
from hwprovisioner.resourcemanager.loading import load_driver
from support import sshd

HOLD = Hold("h1", "refb", 7)


def reachable(server: sshd.Sshd) -> Access:
    return Access(
        "127.0.0.1", server.user, server.port, str(server.key_file), host_key=server.host_key
    )


def resource(server: sshd.Sshd, access: Access | None = None, **options: object) -> Resource:
    driver = load_driver("ssh")
    return Resource(
        name="refb",
        kind=Kind.PHYSICAL_SERVER,
        driver="ssh",
        access=access or reachable(server),
        options=driver.Options.model_validate(options),
        check_every_s=0.05,
    )


def driver_for(server: sshd.Sshd, access: Access | None = None, **options: object) -> Driver:
    return load_driver("ssh")(resource(server, access, **options))
