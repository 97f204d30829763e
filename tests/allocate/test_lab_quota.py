"""What a quota is charged with, and what it lets through."""

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.planning.placement import Placed
from hwprovisioner.allocate.policy import Policy, Quota, UserPolicy
from hwprovisioner.allocate.room import Share
from support.lab_log import Log


def test_a_quota_is_charged_from_the_grant_until_the_hardware_is_clean(log: Log) -> None:
    lab = Lab(log.view, Policy(everyone=UserPolicy(quota=Quota(allocations=1))))
    log.manager("m")
    log.resource("a", used_slots=1)
    log.resource("b")
    log.allocation("running", "READY", user="ann", holds="h1")
    log.hold("h1", "a", "running", state="READY")
    log.allocation("next", turn=1, user="ann")
    assert lab.decide() == []
    log.allocation("running", "ENDED", user="ann", holds="")
    log.change("hold", "h1", {"state": "CLEANING"})
    assert lab.decide() == []
    log.change("hold", "h1")
    assert [grant.request for grant in lab.decide()] == ["next"]


def test_a_quota_of_a_team_is_for_all_its_members(log: Log) -> None:
    policy = Policy(teams={"t": Quota(cpus=4)}, members={"ann": "t", "bob": "t"})
    lab = Lab(log.view, policy)
    log.manager("m")
    log.resource("a", used_slots=1)
    log.resource("b")
    log.allocation("running", "READY", user="ann", holds="h1")
    log.hold("h1", "a", "running", state="READY", cpus=4)
    log.allocation("next", turn=1, user="bob")
    log.allocation("other", turn=2, user="eve")
    assert [grant.request for grant in lab.decide()] == ["other"]


def test_a_quota_holds_within_one_pass_and_what_fits_is_all_granted(log: Log) -> None:
    lab = Lab(log.view, Policy(everyone=UserPolicy(quota=Quota(allocations=2))))
    log.manager("m")
    for name in "abcd":
        log.allocation(name, user="ann")
        log.resource(name)
    grants = lab.decide()
    assert len(grants) == 2
    for grant in grants:
        lab.take_back(grant)
    assert len(lab.decide()) == 2


def test_to_ask_for_a_quota_charges_nothing(log: Log) -> None:
    lab = Lab(log.view, Policy(everyone=UserPolicy(quota=Quota(allocations=1))))
    log.manager("m")
    log.allocation("one", user="ann")
    request = lab.planner.queue.requests["one"]
    hosts = {"h": Placed("a", Share(4, 0, ()))}
    for _ in range(3):
        assert lab.planner.over_quota(request, hosts) == ""
    log.resource("a")
    assert [grant.request for grant in lab.decide()] == ["one"]


def test_whoever_was_over_quota_gets_all_that_fits_when_it_is_given_back(log: Log) -> None:
    lab = Lab(log.view, Policy(everyone=UserPolicy(quota=Quota(cpus=8))))
    log.manager("m")
    log.allocation("large", "READY", user="ann", holds="h")
    log.hold("h", "z", "large", state="READY", cpus=8)
    for name in "abc":
        log.resource(name)
        log.allocation(name, user="ann")
    assert lab.decide() == []
    log.change("hold", "h", {"state": "CLEANING"})
    log.change("hold", "h")
    assert len(lab.decide()) == 2
