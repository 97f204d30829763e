"""What sets keep while they wait, and who may use that meanwhile."""

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.planning.finding import Wish
from hwprovisioner.allocate.planning.keeping import roomiest
from hwprovisioner.allocate.planning.planner import Planner
from support.planning import SmallLab, cpus, divisible, exclusive, with_labels

X, Y, Z, ANY = with_labels("x"), with_labels("y"), with_labels("z"), HostDemand()


def busy(lab: SmallLab, *names: str) -> None:
    for name in names:
        lab.use(name)


def lab_of(**labels: str) -> SmallLab:
    """A lab with a machine for each name."""
    return SmallLab(specs={name: exclusive(letters) for name, letters in labels.items()})


def test_a_large_set_keeps_what_it_could_have_from_those_behind_it() -> None:
    lab = lab_of(a="x", b="x", c="x")
    busy(lab, "c")
    lab.ask("set", X, X, X)
    for number in range(5):
        lab.ask(f"small{number}", X)
    assert lab.granted() == {}
    assert lab.kept == {"set": {"a", "b"}}


def test_a_large_set_is_not_starved_by_a_stream_of_small_ones() -> None:
    lab = lab_of(a="x", b="x", c="x")
    busy(lab, *"abc")
    lab.ask("set", X, X, X)
    for freed in "ab":
        lab.ask(f"small {freed}", X)
        lab.free(freed)
        assert lab.granted() == {}
    lab.free("c")
    [placed] = lab.granted().values()
    assert sorted(placed) == ["a", "b", "c"]


def test_a_request_that_cannot_come_keeps_nothing() -> None:
    lab = lab_of(a="x", b="y")
    lab.stand("b", "its manager is lost", can_open=False)
    lab.ask("pair", X, Y)
    lab.ask("one", X)
    assert lab.granted() == {"one": ["a"]}


def test_a_set_of_equal_hosts_that_cannot_all_come_keeps_nothing() -> None:
    lab = lab_of(a="x", b="x")
    lab.stand("b", "its manager is lost", can_open=False)
    lab.ask("pair", X, X)
    lab.ask("one", X)
    assert lab.granted() == {"one": ["a"]}


def test_a_set_that_waits_for_what_rests_keeps_its_other_hosts() -> None:
    lab = lab_of(a="x", b="y")
    lab.stand("b", "declined")
    lab.ask("pair", X, Y)
    lab.ask("one", X)
    assert lab.granted() == {}
    lab.stand("b")
    assert lab.granted() == {"pair": ["a", "b"]}


def test_what_is_kept_is_let_go_when_the_set_leaves() -> None:
    lab = lab_of(a="x", b="x")
    busy(lab, "b")
    lab.ask("pair", X, X)
    lab.ask("one", X)
    lab.granted()
    lab.planner.remove("pair")
    assert lab.granted() == {"one": ["a"]}


def test_what_is_kept_is_let_go_when_the_rest_can_no_longer_come() -> None:
    lab = lab_of(a="x", b="x")
    busy(lab, "b")
    lab.ask("pair", X, X)
    lab.ask("one", X)
    lab.granted()
    lab.stand("b", "its manager is lost", can_open=False)
    assert lab.granted() == {"one": ["a"]}


def test_only_the_first_keeps_what_several_sets_lack() -> None:
    lab = lab_of(a="x", b="y", c="z")
    busy(lab, "a")
    lab.ask("first", X, Y)
    lab.ask("second", X, Z)
    lab.ask("small", Z)
    assert lab.granted() == {"small": ["c"]}
    assert lab.kept == {"first": {"b"}}


def test_two_sets_that_want_what_the_other_has_do_not_wait_for_ever() -> None:
    lab = lab_of(a="x", b="y")
    busy(lab, *"ab")
    lab.ask("one", X, Y)
    lab.ask("two", Y, X)
    lab.free("b")
    assert lab.granted() == {}
    lab.free("a")
    assert lab.granted() == {"one": ["a", "b"]}
    lab.free("a")
    lab.free("b")
    assert lab.granted() == {"two": ["b", "a"]}


def test_a_set_that_cannot_be_whole_keeps_no_other_from_its_own_bottleneck() -> None:
    lab = SmallLab(specs={f"{kind}{n}": exclusive(kind) for kind in "xy" for n in range(5)})
    busy(lab, *lab.specs)
    lab.ask("first of x", *[X] * 5)
    lab.ask("second of x", *[X] * 4)
    lab.ask("first of y", *[Y] * 5)
    lab.ask("second of y", *[Y] * 4)
    lab.free("x0", "y0")
    lab.granted()
    lab.planner.remove("first of y")
    lab.ask("small", Y)
    assert lab.granted() == {}
    assert lab.kept == {"first of x": {"x0"}, "second of y": {"y0"}}


def test_who_waits_for_a_rare_machine_keeps_no_set_of_plain_ones_from_its_turn() -> None:
    lab = lab_of(a="x", b="x", rare="xy")
    busy(lab, "rare")
    busy(lab, "b")
    lab.ask("rare one", Y)
    lab.ask("pair", X, X)
    lab.ask("small", X)
    assert lab.granted() == {}
    assert lab.kept == {"pair": {"a"}}


def test_who_can_never_come_keeps_no_set_from_its_turn() -> None:
    lab = lab_of(a="x", b="x", away="y")
    lab.stand("away", "its manager is lost", can_open=False)
    busy(lab, "b")
    lab.ask("never", X, X, Y)
    lab.ask("pair", X, X)
    lab.ask("small", X)
    assert lab.granted() == {}
    assert lab.kept == {"pair": {"a"}}


def test_who_is_over_quota_keeps_no_set_from_its_turn() -> None:
    planner = Planner(over_quota=lambda request, _: "over" if request.user == "greedy" else "")
    lab = SmallLab(planner, a=exclusive("x"), b=exclusive("x"))
    busy(lab, "b")
    lab.ask("too much", X, user="greedy")
    lab.ask("pair", X, X)
    lab.ask("small", X)
    assert lab.granted() == {}
    assert lab.kept == {"pair": {"a"}}


def test_the_roomiest_shared_machine_is_the_named_one_or_one_that_is_not_excluded() -> None:
    lab = SmallLab(a=divisible(8), b=divisible(8), c=divisible(8), e=exclusive())
    lab.use("a", 4)
    lab.use("b", 2)
    lab.use("c", 6)
    finder = lab.planner.finder
    asked = lab.ask("any", cpus(8)).asked
    assert roomiest(Wish(asked), asked.lone, finder) == "b"
    assert roomiest(Wish(asked, frozenset("b")), asked.lone, finder) == "a"
    named = lab.ask("named", HostDemand(resource="c", cpus=cpus(8).cpus)).asked
    assert roomiest(Wish(named), named.lone, finder) == "c"
    alone = lab.ask("alone", HostDemand(resource="e")).asked
    assert roomiest(Wish(alone), alone.lone, finder) == ""


# Backfill


def waiting_set(ends_ms: int, *, backfill: bool = True, names: str = "a") -> SmallLab:
    """A set that keeps some machines and lacks one, which ends at a time."""
    specs = {name: exclusive("x") for name in (*names, "last")}
    lab = SmallLab(Planner(backfill=backfill), specs)
    lab.use("last", ends_ms=ends_ms)
    lab.ask("set", *[X] * (len(names) + 1))
    return lab


def test_who_ends_in_time_uses_what_is_kept_and_who_does_not_waits() -> None:
    lab = waiting_set(1_000)
    lab.ask("long", X, max_ms=1_001)
    lab.ask("unknown", X)
    lab.ask("short", X, max_ms=1_000)
    assert lab.granted() == {"short": ["a"]}


def test_what_is_lent_to_one_is_lent_to_no_second() -> None:
    lab = waiting_set(1_000)
    lab.ask("one", X, max_ms=500)
    lab.ask("two", X, max_ms=500)
    assert lab.granted() == {"one": ["a"]}
    assert lab.granted() == {}


def test_where_a_holder_did_not_say_when_it_ends_nobody_uses_what_is_kept() -> None:
    lab = waiting_set(0)
    lab.ask("short", X, max_ms=1)
    assert lab.granted() == {}


def test_without_backfill_nobody_uses_what_is_kept() -> None:
    lab = waiting_set(1_000, backfill=False)
    lab.ask("short", X, max_ms=1)
    assert lab.granted() == {}


def test_a_second_set_lends_nothing_of_what_the_first_keeps() -> None:
    lab = lab_of(a="x", b="y", c="z")
    lab.use("b", ends_ms=1_000)
    lab.use("c", ends_ms=5_000)
    lab.ask("first", X, Y)
    lab.ask("second", X, Z, max_ms=900)
    lab.ask("late", X, max_ms=4_000)
    assert lab.granted() == {}
    assert lab.kept == {"first": {"a"}}


def test_what_is_out_of_service_does_not_count_as_coming() -> None:
    lab = lab_of(a="x", b="x", c="x")
    lab.use("b", ends_ms=9_000)
    lab.use("c")
    lab.stand("c", "in maintenance", can_open=False, ends_ms=1_000)
    lab.ask("pair", X, X)
    lab.ask("fits", X, max_ms=8_000)
    assert lab.granted() == {"fits": ["a"]}


def test_one_shared_machine_that_is_freed_may_do_for_two_hosts() -> None:
    lab = SmallLab(a=exclusive("x"), d=divisible(8, labels="y"), e=divisible(8, labels="y"))
    for name, ends_ms in (("d", 1_000), ("e", 9_000)):
        lab.use(name, 8, ends_ms=ends_ms)
    four = HostDemand(labels=Y.labels, cpus=cpus(4).cpus)
    lab.ask("set", X, four, four)
    lab.ask("late", X, max_ms=8_000)
    assert lab.granted() == {}
    lab.ask("early", X, max_ms=1_000)
    assert lab.granted() == {"early": ["a"]}


def test_a_host_that_moves_makes_a_set_start_sooner() -> None:
    lab = lab_of(a="xy", b="y", c="x", d="z")
    lab.use("b", ends_ms=1_000)
    lab.use("c", ends_ms=9_000)
    lab.ask("set", with_labels("y"), X, Z)
    lab.ask("late", Z, max_ms=8_000)
    assert lab.granted() == {}


@given(
    ends=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    small=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 12)), max_size=12),
)
def test_no_set_starts_later_than_was_certain_when_it_first_kept(
    ends: list[int], small: list[tuple[int, int]]
) -> None:
    """Every holder takes all the time that it said."""
    names = [f"m{number}" for number in range(len(ends) + 1)]
    lab = SmallLab(specs={name: exclusive("x") for name in names})
    until = dict(zip(names[1:], ends, strict=True))
    for name, ends_ms in until.items():
        lab.use(name, ends_ms=ends_ms)
    lab.ask("set", *[X] * len(names))
    for lab.now_ms in range(max(ends) + 1):
        due = [name for name, ends_ms in until.items() if ends_ms <= lab.now_ms]
        for name in due:
            del until[name]
            lab.free(name)
        for number, (arrives, span) in enumerate(small):
            if arrives == lab.now_ms:
                lab.ask(f"small{number}", X, max_ms=span)
        for grant in lab.decide():
            if grant.request == "set":
                assert lab.now_ms == max(ends)
                return
            span = small[int(grant.request.removeprefix("small"))][1]
            until[grant.hosts["h0"].resource] = lab.now_ms + span
    raise AssertionError("the set never started")
