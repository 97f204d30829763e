"""`hwp health`: whether a server serves; for Docker's health checks and scripts."""

from __future__ import annotations

import click

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.commands.lab_options import LabOptions, with_lab

_CHECK = "/grpc.health.v1.Health/Check"
_STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


@click.command(short_help="Say whether a server serves.")
@click.option("--service", default="", metavar="NAME", help="One of its services, by full name.")
@click.option("--timeout", type=click.FloatRange(min=0.01), default=3.0, help="In seconds.  [3]")
@with_lab
def health(lab: LabOptions, service: str, timeout: float) -> int:
    """Say whether the server at --address serves; the exit code is 0 if it does, else 6."""
    import os

    from hwprovisioner.client.settings import Settings

    address = Settings.from_env(os.environ, allocate_address=lab.address).allocate_address
    status = check(address, service, timeout)
    if status != "SERVING" or not lab.quiet:
        click.echo(f"{address} {status}")
    return ExitCode.OK if status == "SERVING" else ExitCode.AWAY


def check(address: str, service: str, timeout_s: float) -> str:
    """Gives what a server says of itself, or why it says nothing.

    Its two messages are read and written here, so that the client needs no package for them:
    `service` is field 1 of the request, `status` field 1 of the response.
    """
    import grpc

    name = service.encode()
    request = b"\x0a" + bytes([len(name)]) + name if name else b""
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_CHECK)
        try:
            answer: bytes = call(request, timeout=timeout_s)
        except grpc.RpcError as error:
            return f"does not answer: {error.code().name} {error.details()}"
    return _STATUSES.get(answer[1] if answer[:1] == b"\x08" else 0, "UNKNOWN")
