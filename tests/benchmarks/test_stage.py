import os
import sys
from pathlib import Path

import pytest
from benchmarks.frame.stage import Stage


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_everything_has_ended_when_the_block_ends() -> None:
    with Stage() as stage:
        talker = stage.talker("echo", str(Path(__file__).with_name("echoing.py")))
        redis = stage.redis()
        assert talker.ask("echo", said="hello") == "hello"
        assert stage.named == {"echo": talker.pid, "redis": redis.pid}
        assert stage.load == {"echo"}
        pids = list(stage.named.values())
        folder = stage.folder
    assert not any(is_alive(pid) for pid in pids)
    assert not folder.exists()


def test_what_does_not_start_is_told_with_its_last_words() -> None:
    program = "import sys; sys.exit('I have no port')"
    with Stage() as stage, pytest.raises(RuntimeError, match="I have no port"):
        stage.start("broken", [sys.executable, "-c", program], ready=lambda: False)


def test_a_talker_that_ends_is_told_with_its_last_words() -> None:
    with Stage() as stage:
        talker = stage.talker("echo", str(Path(__file__).with_name("echoing.py")))
        with pytest.raises(RuntimeError, match="KeyError: 'sing'"):
            talker.ask("sing")


def test_settings_of_another_lab_do_not_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "elsewhere")
    with Stage() as stage:
        talker = stage.talker("echo", str(Path(__file__).with_name("echoing.py")))
        assert talker.ask("setting", name="REDIS_HOST") is None
    assert os.environ["REDIS_HOST"] == "elsewhere"
