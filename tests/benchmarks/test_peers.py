import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.allocate.hand_over import gaps_ms
from benchmarks.peers import environment
from benchmarks.peers.environment import PeerEnvironment


def test_a_hand_over_is_from_a_release_to_whoever_is_ready_next() -> None:
    released = [1.0, 3.0, 2.0, 9.0]
    ready = [3.5, 0.5, 1.25, 2.125]

    assert gaps_ms(released, ready) == [250, 125, 500]


@pytest.fixture
def peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PeerEnvironment:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("no-such-package==1\n")
    monkeypatch.setattr(environment, "FOLDER", tmp_path / ".venv-peers")
    monkeypatch.setattr(environment, "TOP", tmp_path)
    return PeerEnvironment("peer", requirements)


def test_a_peer_that_cannot_be_installed_is_missing_and_says_why(
    peer: PeerEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert "make bench-peers" in peer.missing()

    peer.prepare()

    assert "no-such-package" in peer.missing()


def test_a_peer_is_installed_once_for_the_same_requirements(peer: PeerEnvironment) -> None:
    peer.requirements.write_text("")
    peer.prepare()
    assert peer.missing() == ""
    assert subprocess.run([peer.python, "-c", ""], check=False).returncode == 0
    made = Path(peer.python).lstat().st_mtime_ns

    peer.prepare()
    assert Path(peer.python).lstat().st_mtime_ns == made

    peer.requirements.write_text("other==1\n")
    assert peer.missing()


def test_etcd_s_messages_can_be_built() -> None:
    script = (
        "from benchmarks.peers.etcd.api import pb;"
        "print(pb.LeaseKeepAliveRequest(ID=1).SerializeToString().hex())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "0801"
