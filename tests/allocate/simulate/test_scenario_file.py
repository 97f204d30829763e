import re
from pathlib import Path

import pytest

from hwprovisioner.allocate.demand import RelationKind
from hwprovisioner.allocate.simulate.scenario import Law, Scenario
from hwprovisioner.allocate.simulate.scenario_file import ScenarioError, parse_scenario

PAGE = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text()
LAB = "resources: {m: {cpu: 8}}\n"
MINUTE_MS = 60_000


def stream(text: str) -> str:
    return f"{LAB}streams: {{s: {{{text}}}}}\n"


def problems(text: str) -> list[str]:
    """Return the first line of each problem."""
    with pytest.raises(ScenarioError) as caught:
        parse_scenario(text, "s.yml")
    return [fault.splitlines()[0] for fault in caught.value.faults]


def documented() -> Scenario:
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return parse_scenario(text)


def test_the_page_shows_a_scenario_that_is_read() -> None:
    scenario = documented()
    assert (scenario.duration_ms, scenario.seed) == (24 * 60 * MINUTE_MS, 7)
    assert [machine.name for machine in scenario.machines][-2:] == ["server-12", "hypervisor"]
    nightly, pairs = scenario.streams
    assert (nightly.user, nightly.priority, nightly.declared_ms) == ("ci", -10, 120 * MINUTE_MS)
    assert (nightly.lasting.law, nightly.lasting.sigma) == (Law.LOGNORMAL, 0.8)
    assert (pairs.user, pairs.is_exact) == ("pairs", True)
    assert len(pairs.demand.hosts["client"].options) == 2
    assert scenario.policy.share_of("ci").weight == 0.5


def test_resources_are_what_their_group_says() -> None:
    server, other, *_, hypervisor = documented().machines
    assert (server.spec.cpus, server.spec.memory, len(server.spec.gpus)) == (16, 64 << 30, 2)
    assert (server.prepare_ms, server.clean_ms) == (30_000, MINUTE_MS)
    assert ("rack", "a1") in server.spec.labels
    assert ("rack", "a2") in other.spec.labels
    assert hypervisor.spec.division is not None
    assert hypervisor.spec.division.instances == 20


def test_demands_are_those_of_the_command_line() -> None:
    text = (
        "demands: {db: {cpus: 8, count: 2, kind: vm}, edge: {gpus: 2, os: ubuntu 22.04},"
        " same: {rack: [db, edge]}, different: switch}, arrivals: {every: 5m}, duration: 1m"
    )
    [read] = parse_scenario(stream(text)).streams
    assert sorted(read.demand.hosts) == ["db-1", "db-2", "edge"]
    assert read.demand.hosts["db-1"].kinds == {"virtual-machine"}
    assert len(read.demand.hosts["edge"].gpus) == 2
    assert read.demand.hosts["edge"].os.distro == "ubuntu"
    kinds = {(each.label, each.kind) for each in read.demand.relations}
    assert kinds == {("rack", RelationKind.SAME), ("switch", RelationKind.DIFFERENT)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("demands: {cpus: x}, arrivals: {every: 5m}, duration: 1m", "s.demands.cpus"),
        ("demands: {cpu: 8}, arrivals: {every: 5m}, duration: 1m", "did you mean 'cpus'?"),
        ("demands: {a: {cpsu: 8}}, arrivals: {every: 5m}, duration: 1m", "did you mean 'cpus'?"),
        ("demands: {kind: vmm}, arrivals: {every: 5m}, duration: 1m", "did you mean 'vm'?"),
        ("demands: {}, arrivals: {every: 5m}", "has no duration"),
        ("arrivals: {every: 5m}, duration: 1m", "has no demands"),
        ("demands: {}, arrivals: {}, duration: 1m", "one of every, poisson, at, burst"),
        ("demands: {}, arrivals: {poisson: 5}, duration: 1m", "a rate over 0, such as 12/h"),
        ("demands: {}, arrivals: {at: [25:00]}, duration: 1m", "from 00:00 to 24:00"),
        ("demands: {}, arrivals: {every: 1ms}, duration: 1m", "more than 1,000,000 requests"),
        (
            "demands: {}, arrivals: {every: 1m, from: 9h, until: 8h}, duration: 1m",
            "is not after the beginning",
        ),
        (
            "demands: {}, arrivals: {burst: {at: 09:00}}, duration: 1m",
            "s.arrivals.burst: has no count",
        ),
        (
            "demands: {}, arrivals: {every: 1m}, duration: {uniform: [5m, 4m]}",
            "the shortest and the longest",
        ),
        (
            "demands: {}, arrivals: {every: 1m}, duration: {lognormal: [5m, 9]}",
            "the median and sigma",
        ),
        ("demands: {}, arrivals: {every: 1m}, duration: {gauss: 5m}", "unknown key"),
    ],
)
def test_what_is_wrong_with_a_stream_is_told_with_its_line(text: str, said: str) -> None:
    assert any(said in fault and fault.startswith("s.yml:2:") for fault in problems(stream(text)))


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ("m: {count: none}", "resources.m.count: should be a whole number"),
        ("m: {memory: 8GiB}", "did you mean 'mem'?"),
        ("m: {kind: board}", "kind 'board' is not known"),
        ("M!: {cpu: 1}", "does not match"),
        ("m: {limits: {cpu: 8}}", "has no instances"),
        ("m: {cpu: 4, limits: {cpu: 8, instances: 2}}", "move it there"),
        ("m: {gpus: [{memory: lots}]}", "an amount such as 16GiB"),
        ("m: {spread: {rack: a1}}", "a list of values"),
        ("m: {count: 2}, m-1: {}", "'m-1' is in m, too"),
    ],
)
def test_what_is_wrong_with_resources_is_told_with_its_line(resources: str, said: str) -> None:
    text = f"resources: {{{resources}}}\n"
    text += "streams: {s: {demands: {}, arrivals: {every: 5m}, duration: 1m}}\n"
    assert any(said in fault and fault.startswith("s.yml:1:") for fault in problems(text))


def test_the_policy_is_read_as_in_its_file() -> None:
    text = stream("demands: {}, arrivals: {every: 5m}, duration: 1m")
    assert problems(f"{text}policy: {{users: {{a: {{wait: 3}}}}}}\n") == [
        "s.yml:3:22: policy.users.a.wait: unknown key; did you mean 'weight'?"
    ]
