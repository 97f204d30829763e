"""One etcd on loopback. How fast it is depends on what it has been through: begin with a fresh one.

    etcd = Etcd(stage)
    sides = {"etcd": Fresh(lambda: etcd.fresh(leases=10_000), keep_alive)}
    def keep_alive(): return {"kept": reading(etcd.keep_alive_calls(128, 3.0), "/s")}

It is as it comes: grants are on the disk before they are acknowledged, what a keep-alive extends is
in memory only. Our beats are on the disk.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import grpc
from google.protobuf.message import Message

from benchmarks.frame import h2load
from benchmarks.frame.stage import Stage, free_port, listening
from benchmarks.peers.etcd import api

TTL_S = 3600
_IN_A_BODY = 200
"""A stream of keep-alives carries so many leases."""
_GRANTS_IN_FLIGHT = 64
_MOST_BYTES = 64 << 20


class Etcd:
    """A server on a stage, by the name etcd."""

    def __init__(self, stage: Stage, name: str = "etcd") -> None:
        self._stage, self._name = stage, name
        self._folder = stage.folder / name
        self.port = 0
        self.leases: Sequence[int] = ()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    def fresh(self, leases: int = 0) -> None:
        """Begin again with nothing but so many live leases."""
        if self.port:
            self._stage.end(self._name)
            shutil.rmtree(self._folder)
        self.port, peer = free_port(), f"http://127.0.0.1:{free_port()}"
        here = f"http://{self.address}"
        command = [
            *("etcd", "--data-dir", str(self._folder), "--log-level", "error"),
            *("--listen-client-urls", here, "--advertise-client-urls", here),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        ]
        self._stage.start(self._name, command, ready=listening(self.port))
        if leases:
            self._grant(leases)

    def keep_alive_calls(self, in_flight: int, seconds: float) -> float:
        """Keep one lease alive by calls of one message each; returns calls a second."""
        body = h2load.body(self._stage.folder, "keep-one", self._keeping(self.leases[:1]))
        return self._load(api.KEEP_ALIVE, body, in_flight, seconds)

    def keep_alive_streams(self, streams: int, seconds: float) -> float:
        """Keep leases alive by streams that carry 200 each; returns leases a second."""
        leases = self.leases[:_IN_A_BODY]
        body = h2load.body(self._stage.folder, "keep-many", self._keeping(leases))
        return self._load(api.KEEP_ALIVE, body, streams, seconds) * len(leases)

    def grants(self, in_flight: int, seconds: float) -> float:
        """Grant leases; returns how many a second."""
        request = api.pb.LeaseGrantRequest(TTL=TTL_S)
        body = h2load.body(self._stage.folder, "grant", [request])
        return self._load(api.GRANT, body, in_flight, seconds)

    def transactions(self, in_flight: int, seconds: float) -> float:
        """Compare and put, as a lock does; returns how many a second."""
        pb = api.pb
        absent = pb.Compare(target=pb.Compare.VERSION, key=b"nobody", version=0)
        put = pb.RequestOp(request_put=pb.PutRequest(key=b"holder", value=b"v" * 100))
        request = pb.TxnRequest(compare=[absent], success=[put])
        body = h2load.body(self._stage.folder, "txn", [request])
        return self._load(api.TXN, body, in_flight, seconds)

    def _load(self, path: str, body: Path, in_flight: int, seconds: float) -> float:
        found = h2load.run(self._stage, self.port, path, body, in_flight=in_flight, seconds=seconds)
        return found.per_second

    @staticmethod
    def _keeping(leases: Sequence[int]) -> Sequence[Message]:
        return [api.pb.LeaseKeepAliveRequest(ID=lease) for lease in leases]

    def _grant(self, count: int) -> None:
        request = api.pb.LeaseGrantRequest(TTL=TTL_S)
        body = h2load.body(self._stage.folder, "grant", [request])
        command = h2load.command(self.port, api.GRANT, body, _GRANTS_IN_FLIGHT)
        subprocess.run([*command, "-n", str(count)], capture_output=True, check=True)
        options = [("grpc.max_receive_message_length", _MOST_BYTES)]
        with grpc.insecure_channel(self.address, options=options) as channel:
            ask = api.method(channel, api.LEASES, api.pb.LeaseLeasesResponse)
            self.leases = [lease.ID for lease in ask(api.pb.LeaseLeasesRequest()).leases]
        assert len(self.leases) == count, (len(self.leases), count)
