from benchmarks.frame.machine import (
    FOREIGN_CORES,
    Load,
    Sample,
    Worked,
    descendants,
    load_between,
    parse_process,
)

KTHREADD = 2
OURS, SERVICE, WORKER, OTHER = 10, 11, 12, 99


def a_sample(at_s: float, busy_s: float, **own_s: float) -> Sample:
    parents = {"kernel": (KTHREADD, 0), "ours": (OURS, 1), "service": (SERVICE, OURS)}
    parents |= {"worker": (WORKER, SERVICE), "other": (OTHER, 1)}
    known = {pid: Worked(up, own_s.get(name, 0.0), 0.0) for name, (pid, up) in parents.items()}
    return Sample(at_s, busy_s, known)


def test_names_with_spaces_and_brackets_do_not_confuse() -> None:
    rest = "S 7 1 1 0 -1 0 0 0 0 0 150 50 20 5 20 0 1 0 1"

    worked = parse_process(f"42 (a ) b) {rest}")

    assert worked == Worked(parent=7, own_s=2.0, children_s=0.25)


def test_all_that_a_process_has_started_is_found() -> None:
    assert descendants(a_sample(0, 0).processes, [OURS]) == {OURS, SERVICE, WORKER}


def test_only_what_nobody_of_ours_used_is_foreign() -> None:
    before = a_sample(at_s=0, busy_s=100)
    after = a_sample(2, 103, ours=0.5, service=1.0, worker=0.5, kernel=0.25, other=0.75)

    load = load_between(before, after, OURS, {"service": SERVICE})

    assert load.foreign == 0.75 / 2
    assert load.ours == 2.0 / 2
    assert load.shares == {"service": 0.5, "service/1": 0.25}


def test_what_has_ended_meanwhile_is_ours_too() -> None:
    before = Sample(0, 0, {OURS: Worked(1, 0, 0)})
    after = Sample(1, 0.75, {OURS: Worked(1, 0, children_s=0.75)})

    load = load_between(before, after, OURS, {}, {"h2load": 0.75})

    assert load.foreign == 0
    assert load.shares == {"h2load": 0.75}


def test_more_than_a_quarter_of_a_core_disturbs() -> None:
    assert not Load(100, foreign=FOREIGN_CORES).disturbed
    assert Load(100, foreign=FOREIGN_CORES + 0.01).disturbed


def test_what_ticks_cannot_tell_does_not() -> None:
    assert not Load(0.2, foreign=FOREIGN_CORES + 0.1).disturbed
    assert Load(2.0, foreign=FOREIGN_CORES + 0.1).disturbed
