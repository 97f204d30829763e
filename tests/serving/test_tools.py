"""Serving: the usual tools work without any files of protocols."""

import asyncio
import json
import sys
from pathlib import Path

from support.failing_service import NAME
from support.grpc_server import Running

PROGRAMS = Path(sys.executable).parent


async def output_of(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        PROGRAMS / command[0], *command[1:], stdout=asyncio.subprocess.PIPE, stderr=-2
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_grpcurl_works_unaided(running: Running) -> None:
    grpcurl = ("grpcurl", "-plaintext", running.target)
    listed = await output_of(*grpcurl, "list")
    assert {NAME, "grpc.health.v1.Health"} <= set(listed.split())
    assert "rpc Subscribe" in await output_of(*grpcurl, "describe", NAME)
    checked = await output_of(*grpcurl, "grpc.health.v1.Health/Check")
    assert json.loads(checked) == {"status": "SERVING"}
    assert json.loads(await output_of(*grpcurl, f"{NAME}/GetResource")) == {}


async def test_buf_curl_works_unaided(running: Running) -> None:
    url = f"http://{running.target}"
    buf = ("buf", "curl", "--http2-prior-knowledge", "--protocol", "grpc")
    assert f"{NAME}/Subscribe" in await output_of(*buf, "--list-methods", url)
    assert json.loads(await output_of(*buf, "--data", "{}", f"{url}/{NAME}/GetResource")) == {}
