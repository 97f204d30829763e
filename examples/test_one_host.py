"""One host: demand it, run commands on it, check what they say."""

# ruff: noqa: D103

import hashlib

import pytest

from hwprovisioner.client import CommandFailed, Hardware

pytestmark = pytest.mark.hardware(cpus=1, memory="256MiB")


def test_the_host_has_what_was_demanded(hardware: Hardware) -> None:
    host = hardware.host
    assert host.cpus >= 1
    assert host.memory_bytes >= 256 * 2**20
    assert int(host.run("nproc").stdout) >= 1


def test_a_file_written_on_the_host_is_read_back(hardware: Hardware) -> None:
    text = "lent by the lab\n" * 1000
    path = hardware.host.run("mktemp").stdout.strip()
    hardware.host.run(["tee", path], input=text)
    try:
        read = hardware.host.run(["sha256sum", path]).stdout.split()[0]
        assert read == hashlib.sha256(text.encode()).hexdigest()
    finally:
        hardware.host.run(["rm", path])


def test_the_host_computes_what_is_known(hardware: Hardware) -> None:
    primes = """awk 'BEGIN {
        for (n = 2; n <= 10000; n++) {
            for (d = 2; d * d <= n && n % d; d++);
            if (d * d > n) found++
        }
        print found
    }'"""
    assert hardware.host.run(primes, timeout="30s").stdout == "1229\n"


def test_a_command_that_fails_says_so(hardware: Hardware) -> None:
    with pytest.raises(CommandFailed) as failed:
        hardware.host.run("echo no such board >&2; exit 3")
    assert failed.value.exit_code == 3
    assert "no such board" in failed.value.message
    assert hardware.host.run("exit 3", check=False).exit_code == 3


@pytest.mark.hardware(lease_ttl="2s")
def test_the_host_stays_ours_for_longer_than_a_lease(hardware: Hardware) -> None:
    hardware.host.run("sleep 3")
    assert hardware.beats >= 2
    hardware.check()
