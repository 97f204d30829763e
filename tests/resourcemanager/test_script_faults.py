"""Scripts that hang, die or linger: one resource's trouble, and no other's."""

import os
import signal
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import Resource, parse_config
from hwprovisioner.resourcemanager.loading import load_driver
from support.eventually import eventually
from support.manager import box, manager
from support.misbehaving import fields, works
from support.scripted_lab import ScriptedLab

HANGS = "read -r nothing < {folder}/never"
DIES = "kill -9 $$"
TALKS = "echo nonsense"
#: Its answers are good, but what it started goes on and on.
LINGERS = 'sleep 300 & echo $! > {folder}/left; echo \'{{"connection": {{"protocol": "x"}}}}\''


def scripts(folder: Path, body: str) -> dict[str, Resource]:
    os.mkfifo(folder / "never")
    bad = folder / "bad.sh"
    bad.write_text(
        "#!/bin/sh\nquestion=$(cat)\n"
        f'case "$question" in *\'"action": "prepare"\'*) {body.format(folder=folder)};; esac\n'
    )
    good = folder / "good.sh"
    good.write_text('#!/bin/sh\necho \'{"connection": {"protocol": "x"}}\'\n')
    for script in (bad, good):
        script.chmod(0o755)
    entry = "driver: exec, kind: edge"
    return dict(
        parse_config(f"""
resources:
  static:
    bad: {{{entry}, time_limits: {{ready_up: 500ms}}, options: {{command: {bad}}}}}
    good: {{{entry}, options: {{command: {good}}}}}
""").resources
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (HANGS, "not done within 0.5 s"),
        (DIES, "was killed by SIGKILL"),
        (TALKS, "did not answer with JSON, but with: 'nonsense'"),
    ],
)
async def test_a_script_that_misbehaves_is_nobody_elses_trouble(
    lab: ScriptedLab, journal_file: Path, tmp_path: Path, body: str, words: str
) -> None:
    async with manager(lab.target, journal_file, load_driver, scripts(tmp_path, body)):
        session = await lab.session()
        await session.offer("h1", 1, "bad")
        await session.hear("accept", hold_id="h1")
        await works(session, "g1", 1, "good")
        assert words in (await session.hear("failed", hold_id="h1")).reason
        await session.release("h1", 2, "bad")
        await session.hear("cleaned", hold_id="h1")


async def test_one_slow_script_delays_no_other_one(
    lab: ScriptedLab, journal_file: Path, tmp_path: Path
) -> None:
    resources = scripts(tmp_path, HANGS.replace("never", "go"))
    os.mkfifo(tmp_path / "go")
    resources["bad"] = Resource(**{**fields(resources["bad"]), "time_limits": box().time_limits})
    async with manager(lab.target, journal_file, load_driver, resources):
        session = await lab.session()
        await session.offer("h1", 1, "bad")
        await session.hear("accept", hold_id="h1")
        for at in range(5):
            await works(session, f"g{at}", 2 * at + 1, "good")
        assert "failed" not in session.events()
        pipe = os.open(tmp_path / "go", os.O_RDWR | os.O_NONBLOCK)
        os.write(pipe, b"go\n")
        # It answers nothing once it goes on, which is no answer to `prepare`.
        assert "without a `connection`" in (await session.hear("failed", hold_id="h1")).reason
        os.close(pipe)


async def test_what_a_driver_left_running_does_not_keep_a_hold_waiting(
    lab: ScriptedLab, journal_file: Path, tmp_path: Path
) -> None:
    async with manager(lab.target, journal_file, load_driver, scripts(tmp_path, LINGERS)):
        session = await lab.session()
        await works(session, "h1", 1, "bad")
        left = int(await eventually(lambda: (tmp_path / "left").read_text()))
        os.kill(left, signal.SIGKILL)
