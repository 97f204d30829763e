"""Many at once, two replicas, managers that decline and fail: nothing twice, nobody forgotten."""

import asyncio
import random
from collections import Counter
from typing import Any

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.demand_pb2 import Demands
from support.asking import asking, seconds, wanting
from support.eventually import eventually
from support.fake_manager import Manager, Policy, hypervisor, machine, manager, serve_at_once
from support.services import Running, allocate

REQUESTS = 80
HOSTS: tuple[dict[str, Any], ...] = ({}, {"labels": ["x"]}, {"labels": ["y"]}, {"cpus": "4"})


def moody(chance: random.Random) -> Policy:
    """Decline one in ten, fail one in ten."""

    async def policy(agent: Manager, offer: stream.Offer) -> None:
        mood = chance.random()
        if mood < 0.1:
            await agent.say(decline=stream.Decline(hold=offer.hold, retry_delay=seconds(0.01)))
        elif mood < 0.2:
            await agent.say(accept=stream.Accept(hold=offer.hold))
            await agent.say(failed=stream.Failed(hold=offer.hold))
        else:
            await serve_at_once(agent, offer)

    return policy


class Users:
    """Who uses what, and how it ended for each."""

    def __init__(self) -> None:
        self.using: set[str] = set()
        self.outcomes: Counter[str] = Counter()

    async def use(self, service: Running, demands: Demands, priority: int) -> None:
        async with asking(service.stub, demands, priority=priority) as asked:
            while (update := await asked.next()) is not None and not update.HasField("ready"):
                pass
            if update is None:
                self.outcomes["ended"] += 1
                return
            hosts = asked.allocation.hosts.values()
            names = {h.hold.resource for h in hosts if not h.spec.HasField("division")}
            assert not names & self.using
            self.using |= names
            await service.stub.ListManagers(pb.ListManagersRequest())
            self.using -= names
            await asked.release()
            self.outcomes["used"] += 1


async def test_whatever_managers_do_nothing_is_used_twice_and_everybody_comes_to_an_end(
    redis_url: str,
) -> None:
    chance = random.Random(7)
    machines = [machine(f"r{n}", labels={"xy"[n % 2]: ""}) for n in range(8)]
    shared = [hypervisor("h0"), hypervisor("h1", instances=2)]
    users = Users()
    async with (
        allocate(redis_url, tries=50) as one,
        allocate(redis_url, tries=50) as two,
        manager(one.stub, "m", machines[:4] + shared[:1], policy=moody(chance)),
        manager(two.stub, "n", machines[4:] + shared[1:], policy=moody(chance)),
    ):
        storm = []
        for number in range(REQUESTS):
            count = chance.choice([1, 1, 1, 2, 3])
            demands = wanting(**{f"k{n}": chance.choice(HOSTS) for n in range(count)})
            storm.append(users.use((one, two)[number % 2], demands, chance.randint(-2, 2)))
        await asyncio.gather(*storm)
        assert users.outcomes.total() == REQUESTS
        assert users.outcomes["used"] > REQUESTS * 0.8

        async def all_is_free() -> bool:
            listed = await two.stub.ListResources(pb.ListResourcesRequest())
            return not any(resource.holds for resource in listed.resources)

        await eventually(all_is_free)
