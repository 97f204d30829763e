"""When failures speak against a machine: the rule, what it is fed with, and what follows."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from fractions import Fraction
from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.outcomes import KEPT, Outcome, Outcomes
from hwprovisioner.allocate.suspicion import at_least, why_suspect
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.reading import Reader
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.allocation_pb2 import Requestor
from hwprovisioner.v1.resource_pb2 import (
    HEALTH_HEALTHY,
    HEALTH_SUSPECT,
    Connection,
    Health,
)
from support.asking import asking, is_free, resource, wanting
from support.eventually import eventually
from support.fake_manager import Manager, Policy, machine, manager
from support.services import Running, allocate

GOOD, BAD = False, True
events = st.lists(
    st.tuples(st.sampled_from("rst"), st.sampled_from("abc"), st.sampled_from(["", "x", "y"])),
    max_size=120,
)


def lab(*seen: tuple[str, str, bool], class_id: str = "x") -> Outcomes:
    """Return the outcomes of a lab: resource, user, whether it failed."""
    outcomes = Outcomes()
    for name, user, failed in seen:
        outcomes.note(name, Outcome(user, class_id, failed))
    return outcomes


def is_suspect(outcomes: Outcomes, name: str = "r") -> bool:
    own = outcomes.of(name)
    return bool(why_suspect(own, lambda outcome: outcomes.elsewhere(name, outcome)))


def elsewhere(*users: str, count: int = 5, failed: bool = GOOD) -> list[tuple[str, str, bool]]:
    return [(f"other{n}", user, failed) for user in users for n in range(count)]


def test_failures_of_different_users_that_fare_well_elsewhere_are_suspicious() -> None:
    assert is_suspect(lab(*elsewhere("a", "b", "c"), *(("r", user, BAD) for user in "abc")))


def test_failures_of_one_user_never_are() -> None:
    assert not is_suspect(lab(*elsewhere("a", "b"), *[("r", "a", BAD)] * KEPT))


def test_failures_of_those_who_fail_everywhere_are_not() -> None:
    seen = [*elsewhere("a", "b", "c", failed=BAD), *(("r", user, BAD) for user in "abc")]
    assert not is_suspect(lab(*seen))


def test_one_who_fails_everywhere_does_not_make_up_for_others() -> None:
    seen = [*elsewhere("a", failed=BAD), *elsewhere("b", "c", "d", "e", count=20)]
    others = [("r", user, GOOD) for user in "cde"]
    assert not is_suspect(lab(*seen, ("r", "a", BAD), ("r", "b", BAD), *others))


def test_who_tries_again_and_again_is_one_witness() -> None:
    seen = [*elsewhere("a", "b", count=1), *[("r", "a", BAD)] * 10, ("r", "b", BAD)]
    assert not is_suspect(lab(*seen))


def test_a_machine_that_works_for_most_is_not_suspected() -> None:
    works = [("r", f"user{n}", GOOD) for n in range(20)]
    assert not is_suspect(lab(*elsewhere("a", "b", count=20), *works, ("r", "a", BAD)))
    assert not is_suspect(
        lab(*elsewhere("a", "b", count=3), ("r", "a", BAD), ("r", "b", BAD), *works)
    )


def test_where_nothing_is_known_of_others_many_users_are_needed() -> None:
    users = [f"user{n}" for n in range(7)]
    assert not is_suspect(lab(*(("r", user, BAD) for user in users[:6]), class_id=""))
    assert is_suspect(lab(*(("r", user, BAD) for user in users), class_id=""))


def test_a_class_that_fails_everywhere_speaks_for_the_machine() -> None:
    newcomers = [(f"other{n}", f"user{n}", BAD) for n in range(20)]
    seen = [*newcomers, *(("r", f"new{n}", BAD) for n in range(5))]
    assert not is_suspect(lab(*seen))


@given(st.lists(st.integers(0, 4), max_size=6), st.integers(0, 6))
def test_how_likely_it_is_that_so_many_happen(quarters: list[int], count: int) -> None:
    chances = [Fraction(each, 4) for each in quarters]
    exact = sum(
        prod(c if happens else 1 - c for c, happens in zip(chances, which, strict=True))
        for which in product([True, False], repeat=len(chances))
        if sum(which) >= count
    )
    assert at_least(count, [float(each) for each in chances]) == pytest.approx(float(exact))


@given(events, st.lists(st.booleans(), min_size=120, max_size=120))
def test_what_is_said_of_elsewhere_is_what_counting_anew_gives(
    seen: list[tuple[str, str, str]], failed: list[bool]
) -> None:
    outcomes = Outcomes()
    told: dict[str, list[Outcome]] = {}
    for (name, user, class_id), has_failed in zip(seen, failed, strict=False):
        outcome = Outcome(user, class_id, has_failed)
        outcomes.note(name, outcome)
        told[name] = [*told.get(name, []), outcome][-KEPT:]
    outcomes.forget("t")
    told.pop("t", None)
    asked = Outcome("a", "x", failed=True)
    others = [each for name, some in told.items() if name != "r" for each in some]
    alike = [each for each in others if each.user == "a"]
    alike += [each for each in others if each.class_id == "x"]
    assert outcomes.elsewhere("r", asked) == (sum(e.failed for e in alike), len(alike))
    assert outcomes.of("r") == tuple(told.get("r", ()))


# In a lab.


def breaking(*bad: str) -> Policy:
    """Return what a manager does on whose machines, but for the bad ones, all goes well."""

    async def serve(agent: Manager, offer: stream.Offer) -> None:
        await agent.say(accept=stream.Accept(hold=offer.hold))
        if offer.resource in bad:
            await agent.say(failed=stream.Failed(hold=offer.hold, reason="smoke"))
            return
        connection = Connection(protocol="ssh", address=offer.resource)
        await agent.say(ready=stream.Ready(hold=offer.hold, connection=connection))

    return serve


async def use(service: Running, user: str, name: str) -> None:
    """Have a user ask for one resource, and give it back, if it does not fail."""
    requestor = Requestor(user=user)
    demands = wanting(h={"resource": name})
    async with asking(service.stub, demands, requestor=requestor) as asked:
        while asked.events[-1] not in ("ready", "ended"):
            await asked.next()
        if asked.events[-1] == "ready":
            await asked.release()
            await asked.ended()


@contextlib.asynccontextmanager
async def with_a_bad_one(redis_url: str, users: str) -> AsyncIterator[tuple[Running, Manager]]:
    """Have users whose holds work on a and b, and fail on c, which the lab comes to suspect."""
    machines = [machine(name) for name in "abc"]
    async with (
        allocate(redis_url, tries=1) as service,
        manager(service.stub, "m", machines, policy=breaking("c")) as agent,
    ):
        for name in "ab":
            await asyncio.gather(*(use(service, user, name) for user in users))
            await eventually(functools.partial(is_free, service.stub, name))
        for user in users:
            await use(service, user, "c")
            await eventually(lambda: is_free(service.stub, "c"))
        yield service, agent


async def health_is(service: Running, name: str, health: Health.ValueType) -> bool:
    return (await resource(service.stub, name)).health == health


async def test_a_machine_on_which_different_users_fail_is_looked_after_and_begins_anew(
    redis_url: str,
) -> None:
    async with (
        with_a_bad_one(redis_url, "abcd") as (service, agent),
        Link(redis_url) as link,
    ):
        look = await agent.hear("look_after")
        assert look.resource == "c"
        assert "holds of 4 of its newest 4 users failed" in look.reason
        assert await health_is(service, "c", HEALTH_SUSPECT)
        assert await health_is(service, "a", HEALTH_HEALTHY)
        known = await Reader(link, Keys()).outcomes("abc")
        assert {name: [word[0] for word in words] for name, words in known.items()} == {
            "a": ["+"] * 4,
            "b": ["+"] * 4,
            "c": ["-"] * 4,
        }
        well = stream.HealthChange(resource="c", health=HEALTH_HEALTHY, look=look.look)
        await agent.say(health=well)
        await eventually(lambda: health_is(service, "c", HEALTH_HEALTHY))
        assert "c" not in await Reader(link, Keys()).outcomes("abc")


async def test_failures_of_one_user_lead_to_nothing(redis_url: str) -> None:
    async with with_a_bad_one(redis_url, "aaaaa") as (service, _):
        assert await health_is(service, "c", HEALTH_HEALTHY)


async def test_a_replica_that_comes_later_knows_what_has_failed_before(redis_url: str) -> None:
    async with with_a_bad_one(redis_url, "ab") as (service, _):
        assert await health_is(service, "c", HEALTH_HEALTHY)
    async with with_a_bad_one(redis_url, "cd") as (_, agent):
        assert "4 of its newest 4 users" in (await agent.hear("look_after")).reason
