"""Who may use what a set keeps while it waits, and that no set starts later for it."""

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.planning.planner import Planner
from support.planning import SmallLab, cpus, divisible, exclusive, with_labels

X, Y, Z = with_labels("x"), with_labels("y"), with_labels("z")


def lab_of(**labels: str) -> SmallLab:
    """A lab with a machine for each name."""
    return SmallLab(specs={name: exclusive(letters) for name, letters in labels.items()})


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
