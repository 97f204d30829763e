"""A real manager with a warm pool, killed at any moment: nothing is handed over twice."""

import asyncio
import contextlib
import os
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hwprovisioner.v1 import demand_pb2, resource_pb2
from support.eventually import eventually
from support.scripted_lab import ScriptedLab, Session, scripted_lab

TESTS = Path(__file__).parents[1]


@pytest.fixture
async def lab() -> AsyncIterator[ScriptedLab]:
    async with scripted_lab() as lab:
        yield lab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a resources file, and a package that brings the driver `folder`."""
    info = tmp_path / "site" / "folder_driver-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: folder-driver\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[hwprovisioner.drivers]\nfolder = support.folder_maker:FolderMaker\n"
    )
    (tmp_path / "resources.yml").write_text(f"""
resources:
  dynamic:
    rack:
      driver: folder
      limits: {{instances: 4}}
      pool: {{min: 2}}
      options: {{folder: {tmp_path}/made}}
""")
    return tmp_path


@contextlib.asynccontextmanager
async def running(
    folder: Path, lab: ScriptedLab, state: str = "state", **settings: str
) -> AsyncIterator[Session]:
    """Run a manager, and kill it at the end of the block."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HWP_")}
    environ = kept | {
        "ALLOCATE_API": lab.target,
        "CONFIG_FILE": str(folder / "resources.yml"),
        "HWP_STATE_DIR": str(folder / state),
        "HWP_MANAGER_PORT": "0",
        "HWP_MANAGER_ID": "bench",
        "PYTHONPATH": f"{folder / 'site'}:{TESTS}",
        **settings,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "hwprovisioner.resourcemanager", env=environ
    )
    try:
        yield await lab.session()
    finally:
        process.kill()
        await process.wait()


def handed(folder: Path) -> dict[str, set[str]]:
    """Return which holds ever had an instance, for each."""
    found = defaultdict(set)
    [record] = (folder / "made").glob("*/rack.handed")
    for line in record.read_text().splitlines():
        instance, hold = line.split()
        found[instance].add(hold)
    return found


def there(folder: Path) -> set[str]:
    return {path.name for path in (folder / "made").glob("*/rack/*")}


async def offer(session: Session, hold_id: str, fence: int) -> None:
    share, demand = resource_pb2.Share(cpus=1), demand_pb2.HostDemand(cpus="1")
    await session.offer(hold_id, fence, "rack", share=share, demand=demand)


async def test_what_a_hold_has_and_what_is_ready_survive_a_kill(
    lab: ScriptedLab, folder: Path
) -> None:
    async with running(folder, lab) as session:
        await eventually(lambda: len(there(folder)) == 2)
        ready_before = there(folder)
        await session.hear("volunteer")
        await offer(session, "rack.1", 1)
        given = (await session.hear("ready", hold_id="rack.1")).connection.address
        assert given in ready_before
    async with running(folder, lab) as session:
        [held] = session.register.holds
        assert held.state == resource_pb2.HOLD_STATE_READY
        again = await session.hear("ready", hold_id="rack.1")
        assert again.connection.address == given
        await session.hear("volunteer")
        await offer(session, "rack.2", 2)
        other = (await session.hear("ready", hold_id="rack.2")).connection.address
        assert other != given
        await session.release("rack.1", 3, "rack")
        await session.hear("cleaned", hold_id="rack.1")
        assert given not in there(folder)
        assert other in there(folder)


async def test_no_kill_at_any_moment_hands_an_instance_over_twice(
    lab: ScriptedLab, folder: Path
) -> None:
    fence = 0
    #: Whether it was accepted, as far as the lab has heard.
    unclean: dict[str, bool] = {}
    for moment in ("accept", "ready", "release", "cleaned", "at once") * 2:
        async with running(folder, lab) as session:
            # The lab ends what was under way, as it does when a lease is over.
            for hold_id in list(unclean):
                fence += 1
                await session.release(hold_id, fence, "rack", begun=unclean[hold_id])
                await session.hear("cleaned", hold_id=hold_id)
                del unclean[hold_id]
            fence += 1
            hold_id = f"rack.{fence}"
            await session.hear("volunteer")
            await offer(session, hold_id, fence)
            unclean[hold_id] = moment != "at once"
            if unclean[hold_id]:
                await session.hear("accept", hold_id=hold_id)
            if moment in ("ready", "release", "cleaned"):
                await session.hear("ready", hold_id=hold_id)
            if moment in ("release", "cleaned"):
                fence += 1
                await session.release(hold_id, fence, "rack")
            if moment == "cleaned":
                await session.hear("cleaned", hold_id=hold_id)
                del unclean[hold_id]
        assert len(there(folder)) <= 4
    async with running(folder, lab) as session:
        for hold_id, begun in unclean.items():
            fence += 1
            await session.release(hold_id, fence, "rack", begun=begun)
            await session.hear("cleaned", hold_id=hold_id)
        await eventually(lambda: len(there(folder)) == 2)
        assert all(".pool-" in name for name in there(folder))
    assert all(len(holds) == 1 for holds in handed(folder).values())


async def test_what_another_manager_made_in_the_same_place_is_destroyed_only_if_a_person_says_so(
    lab: ScriptedLab, folder: Path
) -> None:
    async with running(folder, lab):
        await eventually(lambda: len(there(folder)) == 2)
        first = there(folder)
        [mark] = (folder / "state").glob("*.mark")
    # One that has lost all that it knew, or that of another lab.
    async with running(folder, lab, state="other") as session:
        await eventually(lambda: len(there(folder)) == 4)
        # What is nobody's goes before anything is lent.
        await session.hear("volunteer")
        await offer(session, "rack.1", 1)
        await session.hear("ready", hold_id="rack.1")
        assert first < there(folder)
    async with running(folder, lab, state="third", HWP_MARK=mark.read_text().strip()):
        await eventually(lambda: first.isdisjoint(there(folder)))


@pytest.mark.parametrize("begun", [False, True])
async def test_who_has_lost_its_mark_as_well_does_not_say_that_what_it_cannot_find_is_clean(
    lab: ScriptedLab, folder: Path, begun: bool
) -> None:
    async with running(folder, lab) as session:
        await session.hear("volunteer")
        await offer(session, "rack.1", 1)
        await session.hear("ready", hold_id="rack.1")
    # Killed before it hears of the hold's end, it still knows that it cannot find it.
    async with running(folder, lab, state="other"):
        pass
    async with running(folder, lab, state="other") as session:
        await session.release("rack.1", 2, "rack", begun=begun)
        if begun:
            health = await session.hear("health", resource="rack")
            assert health.health == resource_pb2.HEALTH_QUARANTINED
            assert "hold rack.1 is not clean: there is no record of what it had" in health.reason
            assert "cleaned" not in session.events()
            # A person has removed it.
            await session.look_after("rack")
        await session.hear("cleaned", hold_id="rack.1", fence=2)


async def test_who_has_lost_its_journal_but_is_given_its_mark_finds_what_a_hold_had(
    lab: ScriptedLab, folder: Path
) -> None:
    async with running(folder, lab, HWP_MARK="5f3a") as session:
        await session.hear("volunteer")
        await offer(session, "rack.1", 1)
        given = (await session.hear("ready", hold_id="rack.1")).connection.address
    async with running(folder, lab, state="other", HWP_MARK="5f3a") as session:
        await session.release("rack.1", 2, "rack")
        await session.hear("cleaned", hold_id="rack.1", fence=2)
        assert given not in there(folder)
