"""The images and docker-compose.yml, on a real Docker engine."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwprovisioner.state.keys import Keys
from support import needs
from support.redis_server import free_port

TOP = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
SERVICES = ("redis", "allocate", "heartbeat", "resourcemanager")
OWN = SERVICES[1:]
BUILD_LIMIT_S = 600
HEALTH_LIMIT_S = 120

pytestmark = [
    pytest.mark.timeout(BUILD_LIMIT_S + HEALTH_LIMIT_S),
    # One suite in containers, also where pytest-xdist spreads the tests.
    pytest.mark.xdist_group("compose"),
]


@dataclass(frozen=True)
class Suite:
    """The suite in containers, under a project name of its own."""

    project: str
    environ: dict[str, str]

    def compose(self, *arguments: str, limit_s: float = 120) -> str:
        return output_of(
            TOP / "tools/compose.sh",
            "-p",
            self.project,
            *arguments,
            env=self.environ,
            limit_s=limit_s,
        )

    def inspect(self, service: str, template: str) -> str:
        """Return what the engine knows of a service's container, running or not."""
        labels = {"project": self.project, "service": service}
        filters = [f"--filter=label=com.docker.compose.{k}={v}" for k, v in labels.items()]
        container = output_of("docker", "ps", "--all", "--quiet", *filters).strip()
        assert container, f"{service} has no container"
        return output_of("docker", "inspect", "--format", template, container).strip()

    def wait_until_healthy(self, *services: str) -> None:
        """Wait until every container is; say which is not, and what it said, if that lasts."""
        deadline = time.monotonic() + HEALTH_LIMIT_S
        health = {}
        while time.monotonic() < deadline:
            health = {name: self.inspect(name, "{{.State.Health.Status}}") for name in services}
            if set(health.values()) == {"healthy"}:
                return
            time.sleep(0.5)
        pytest.fail(f"{health}\n{self.compose('logs', '--tail', '40')}")

    def grpcurl(self, port_name: str, method: str, request: object) -> object:
        address = f"127.0.0.1:{self.environ[port_name]}"
        answer = output_of(
            PROGRAMS / "grpcurl", "-plaintext", "-d", json.dumps(request), address, method
        )
        return json.loads(answer)

    def names_of_resources(self) -> list[str]:
        method = "hwprovisioner.v1.AllocateService/ListResources"
        answer = self.grpcurl("ALLOCATE_PORT", method, {})
        assert isinstance(answer, dict)
        return [resource["spec"]["name"] for resource in answer.get("resources", [])]


def output_of(*command: str | Path, env: dict[str, str] | None = None, limit_s: float = 120) -> str:
    """Return what a command wrote to standard output; it must succeed."""
    done = subprocess.run(
        command, cwd=TOP, env=env, capture_output=True, text=True, timeout=limit_s
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


def need_base_images() -> None:
    """End the test where the images can be neither pulled nor made."""
    has = ["docker", "image", "inspect", "python:3.11-slim", "redis:7"]
    if subprocess.run(has, capture_output=True).returncode == 0:
        return
    with contextlib.suppress(subprocess.TimeoutExpired):
        tool = TOP / "tools/base_images.sh"
        if subprocess.run([tool], capture_output=True, timeout=BUILD_LIMIT_S).returncode == 0:
            return
    needs.missing("the base images python:3.11-slim and redis:7 (tools/base_images.sh)")


@pytest.fixture(scope="module")
def suite() -> Iterator[Suite]:
    needs.docker_engine()
    if subprocess.run([TOP / "tools/compose.sh", "version"], capture_output=True).returncode:
        needs.missing("docker compose")
    need_base_images()
    output_of(TOP / "tools/compose.sh", "build", limit_s=BUILD_LIMIT_S)
    with up("hwptest") as suite:
        yield suite


@contextlib.contextmanager
def up(name: str, *services: str, password: str = "") -> Iterator[Suite]:
    """Bring the suite up, all of it or some services, and take it away again."""
    ports = {"ALLOCATE_PORT": str(free_port()), "HEARTBEAT_PORT": str(free_port())}
    suite = Suite(f"{name}{os.getpid()}", os.environ | ports | {"REDIS_PASSWORD": password})
    try:
        suite.compose("up", "-d", *services, limit_s=HEALTH_LIMIT_S)
        suite.wait_until_healthy(*(services or SERVICES))
        yield suite
    finally:
        suite.compose("down", "--volumes", "--timeout", "5")


def test_the_manager_volunteers_what_its_file_says(suite: Suite) -> None:
    assert suite.names_of_resources() == ["this-container"]


def test_an_allocation_is_granted_beaten_and_given_back(suite: Suite) -> None:
    environ = suite.environ | {
        "ALLOCATE_API": f"127.0.0.1:{suite.environ['ALLOCATE_PORT']}",
        "HEARTBEAT_API": f"127.0.0.1:{suite.environ['HEARTBEAT_PORT']}",
    }
    command = (PROGRAMS / "hwp", "run", "--cpus", "1", "--", "echo", "it ran")
    assert "it ran" in output_of(*command, env=environ)


def test_everything_goes_on_after_redis_was_restarted(suite: Suite) -> None:
    suite.compose("restart", "redis")
    suite.wait_until_healthy(*SERVICES)
    assert suite.names_of_resources() == ["this-container"]


def test_a_new_container_takes_the_place_of_a_heartbeat_that_was_killed(suite: Suite) -> None:
    """Else the lab would end no lease until it has given the old one up."""
    for command in (("kill", "heartbeat"), ("rm", "--force", "heartbeat"), ("up", "-d")):
        suite.compose(*command, limit_s=HEALTH_LIMIT_S)
    suite.wait_until_healthy(*SERVICES)
    signed_on = suite.compose(
        *("exec", "-T", "redis", "redis-cli", "hkeys", Keys("default").beaters)
    )
    assert signed_on.split() == ["heartbeat/0.0.0.0:7080"]


def test_redis_is_published_nowhere_and_the_rest_on_this_machine_only(suite: Suite) -> None:
    ports = {
        name: json.loads(suite.inspect(name, "{{json .HostConfig.PortBindings}}"))
        for name in SERVICES
    }
    assert not ports["redis"]
    assert not ports["resourcemanager"]
    for name in ("allocate", "heartbeat"):
        assert [bound["HostIp"] for [bound] in ports[name].values()] == ["127.0.0.1"]


def test_a_password_with_special_characters_reaches_both_sides(suite: Suite) -> None:
    with up("hwppassword", "redis", "heartbeat", password="correct 'horse' $1") as guarded:
        refused = guarded.compose(
            "exec", "-T", "redis", "env", "-u", "REDISCLI_AUTH", "redis-cli", "ping"
        )
        assert "NOAUTH" in refused


@pytest.mark.parametrize("service", OWN)
def test_a_service_has_no_rights_to_lose(suite: Suite, service: str) -> None:
    assert suite.compose("exec", "-T", service, "id", "-u").strip() == "10001"
    with pytest.raises(AssertionError, match="Read-only file system"):
        suite.compose("exec", "-T", service, "touch", "/home/hwp/file")


@pytest.mark.parametrize("package", ["redis", "hiredis"])
def test_the_manager_s_image_has_no_redis_client(suite: Suite, package: str) -> None:
    with pytest.raises(AssertionError, match="No module named"):
        suite.compose("exec", "-T", "resourcemanager", "python3", "-c", f"import {package}")


def test_a_stop_is_clean(suite: Suite) -> None:
    """Last: what it stops stays stopped."""
    suite.compose("stop")
    codes = {service: suite.inspect(service, "{{.State.ExitCode}}") for service in OWN}
    assert set(codes.values()) == {"0"}, codes
