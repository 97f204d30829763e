"""What is kept no longer is offered to all in a second round of the same pass."""

from hwprovisioner.allocate.demand import HostDemand
from support.planning import SmallLab, cpus, divisible, exclusive, with_labels


def test_who_was_granted_something_in_the_first_round_is_not_asked_in_the_second() -> None:
    lab = SmallLab(shared=divisible(cpus=4, labels="x"))
    lab.use("shared", 1)
    lab.ask("large", cpus(4))
    lab.ask("waiting", with_labels("x"))
    assert lab.granted() == {}
    assert lab.planner.keepers["large"].names == {"shared"}
    lab.ask("late", HostDemand())
    lab.come("one", exclusive(cpus=4))
    lab.come("other", exclusive(cpus=4))
    grants = lab.decide()
    assert sorted(grant.request for grant in grants) == ["large", "late", "waiting"]
    assert not lab.planner.keepers
