"""Sets of hosts on the command line and in files, as they reach the lab."""

import pytest

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.v1.demand_pb2 import (
    Demands,
    GpuDemand,
    HostDemand,
    Provisioning,
    Relation,
    RelationKind,
)
from support.cli_lab import CliLabInThread, Hwp

SAME = RelationKind.RELATION_KIND_SAME
DIFFERENT = RelationKind.RELATION_KIND_DIFFERENT


def asked(hwp: Hwp, thread: CliLabInThread, *words: str, stdin: str | None = None) -> Demands:
    """Runs `hwp explain`, and returns the demands that the lab was asked about."""
    result = hwp("explain", *words, stdin=stdin)
    assert result.exit_code == 0, result.output
    demands: Demands = thread.lab.asked[-1].demands
    return demands


def test_options_describe_one_host(hwp: Hwp, thread: CliLabInThread) -> None:
    words = ["--cpus", "8", "--not", "refb", "--not", "refc", "--where", "resource.cpus in [8, 16]"]
    words += ["--image", "jammy", "--disk", "20GiB", "--param", "a=b=c", "--param", "n=1"]
    words += ["--count", "3", "--any-of", "gpu=h100,label=fast", "--any-of", "not=refd"]
    assert asked(hwp, thread, *words).hosts["host"] == HostDemand(
        cpus="8",
        not_resources=["refb", "refc"],
        where="resource.cpus in [8, 16]",
        provisioning=Provisioning(image="jammy", disk="20GiB", parameters={"a": "b=c", "n": "1"}),
        count=3,
        any_of=[
            HostDemand(gpus=[GpuDemand(model="h100")], labels=["fast"]),
            HostDemand(not_resources=["refd"]),
        ],
    )


def test_hosts_of_a_set_have_the_same_keys(hwp: Hwp, thread: CliLabInThread) -> None:
    db = "db:count=2,not=refb,not=refc,where=resource.cpus == 8,cpus=4"
    edge = "edge:image=jammy,disk=20GiB,param=a=b,param=n=1"
    found = asked(hwp, thread, "--host", db, "--host", edge)
    assert found.hosts["db"] == HostDemand(
        count=2, not_resources=["refb", "refc"], where="resource.cpus == 8", cpus="4"
    )
    made = Provisioning(image="jammy", disk="20GiB", parameters={"a": "b", "n": "1"})
    assert found.hosts["edge"] == HostDemand(provisioning=made)


def test_relations_hold_for_all_hosts_or_for_some(hwp: Hwp, thread: CliLabInThread) -> None:
    hosts = ["--host", "db:count=2", "--host", "edge", "--host", "app"]
    words = ["--same", "switch:db,edge", "--same", "switch:app", "--same", "site"]
    found = asked(hwp, thread, *hosts, *words, "--different", "rack:db")
    assert list(found.relations) == [
        Relation(kind=SAME, label="switch", hosts=["db", "edge"]),
        Relation(kind=SAME, label="switch", hosts=["app"]),
        Relation(kind=SAME, label="site"),
        Relation(kind=DIFFERENT, label="rack", hosts=["db"]),
    ]
    lone = asked(hwp, thread, "--count", "3", "--different", "rack")
    assert list(lone.relations) == [Relation(kind=DIFFERENT, label="rack")]


FILE = """
db: {count: 3, cpus: 08, gpus: 2, labels: {count: 03}}
edge:
  where: resource.labels["site"] in ["a", "b"]
  not_resources: [refb]
  any_of: [{gpus: [{model: h100, count: 2}]}, {gpus: 4}]
  provisioning: {image: jammy, parameters: {count: 03}}
"""
RELATIONS = "same: {switch: [db, edge]}\ndifferent: rack\n"


def indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        FILE + RELATIONS,
        "hosts:\n" + indented(FILE) + RELATIONS,
        "demands:\n" + indented(FILE + RELATIONS),
        "demands:\n" + indented("hosts:\n" + indented(FILE) + RELATIONS),
    ],
)
def test_files_say_all_of_it(hwp: Hwp, thread: CliLabInThread, text: str) -> None:
    found = asked(hwp, thread, "-f", "-", stdin=text)
    assert found.hosts["db"] == HostDemand(
        count=3, cpus="08", gpus=[GpuDemand(count=2)], labels=["count=03"]
    )
    assert found.hosts["edge"] == HostDemand(
        where='resource.labels["site"] in ["a", "b"]',
        not_resources=["refb"],
        any_of=[
            HostDemand(gpus=[GpuDemand(model="h100", count=2)]),
            HostDemand(gpus=[GpuDemand(count=4)]),
        ],
        provisioning=Provisioning(image="jammy", parameters={"count": "03"}),
    )
    assert list(found.relations) == [
        Relation(kind=SAME, label="switch", hosts=["db", "edge"]),
        Relation(kind=DIFFERENT, label="rack"),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--count", "0"), "1<=x<=64"),
        (("--host", "db:count=many"), "no count of hosts"),
        (("--host", "db:where=resource.cpus in [8, 16]"), "--where or --file"),
        (("--host", "db:where=f(a, b == c)"), "--where or --file"),
        (("--host", "db:where=a,where=b"), "where is there twice"),
        (("--host", "db:image=a,image=b"), "image is there twice"),
        (("--host", "db:param=a"), "NAME=VALUE"),
        (("--param", "a"), "NAME=VALUE"),
        (("--param", "a=1", "--param", "a=2"), "a is there twice"),
        (("--any-of", "cpus"), "not KEY=VALUE"),
        (("--any-of", "count=2"), "unknown demand key 'count'"),
        (("--any-of", "cpus=1") * 9, "at most 8"),
        (("--host", "db:any_of=x"), "no list of mappings"),
        (("--same", ""), "write a label"),
        (("--same", "rack:"), "write a label, or LABEL:HOST,HOST"),
        (("--different", "rack:dbb", "--host", "db"), "did you mean 'db'"),
        (("--host", "same:cpus=8"), "no host can be called 'same'"),
        (("--host", "db", "--where", "true"), "in one way"),
        (("-f", "-", "--same", "rack"), "stand in the --file itself"),
    ],
)
def test_wrong_usage_is_2_and_says_why(
    hwp: Hwp, thread: CliLabInThread, words: tuple[str, ...], said: str
) -> None:
    result = hwp("explain", *words, stdin="db: {}")
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr
    assert not thread.lab.asked


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("db: {}\nsame: {switch: [web]}", "no host 'web'"),
        ("db: {count: three}", "no count of hosts"),
        ("same: {cpus: 8}\ndb: {}", "call no host 'same'"),
        ("hosts: [db]\nsame: rack", "hosts by name"),
        ("db: {any_of: {cpus: 8}}", "no list of mappings"),
    ],
)
def test_a_wrong_file_is_2_and_says_why(hwp: Hwp, text: str, said: str) -> None:
    result = hwp("explain", "-f", "-", stdin=text)
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr
