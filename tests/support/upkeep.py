"""Resources that are lent, or not well."""

from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.tables import Health
from support.state_lab import NOW, StateLab

WHO = Speaker("m", 1)


async def held(lab: StateLab, *names: str) -> None:
    """Have resource r, and others, all held by allocation a, which is ready."""
    who = await lab.register()
    await lab.elect()
    await lab.tend()
    await lab.submit()
    for name in names or ("r",):
        await lab.describe(who, name)
    plans = (lab.planned(name, host=f"host-{name}") for name in names or ("r",))
    for hold in await lab.grant("a", *plans):
        await lab.holds.accept(who, hold.id, hold.fence, now_ms=NOW)
        await lab.holds.ready(who, hold, hold.fence, "{}", now_ms=NOW)


async def healthy(lab: StateLab, health: Health = Health.HEALTHY) -> None:
    """Have resource r, whose manager has said how it is."""
    await lab.describe(await lab.register())
    if health is not Health.HEALTHY:
        await lab.judge("r", health, "smoke")
