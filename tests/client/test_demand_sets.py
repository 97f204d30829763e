"""Sets of hosts as tests write them: copies, alternatives, how they are made, what they share."""

from typing import Any

import pytest

from hwprovisioner.client import BadDemand
from hwprovisioner.client.demands import read_demands
from hwprovisioner.v1.demand_pb2 import (
    Demands,
    GpuDemand,
    HostDemand,
    Provisioning,
    Relation,
    RelationKind,
)

SAME = RelationKind.RELATION_KIND_SAME
DIFFERENT = RelationKind.RELATION_KIND_DIFFERENT


def read(**keywords: Any) -> Demands:
    return read_demands(None, keywords)


def refused(**keywords: Any) -> dict[str, str]:
    """Reads what is wrong, and returns what is said of each field."""
    with pytest.raises(BadDemand) as caught:
        read(**keywords)
    return {each.field: each.description for each in caught.value.violations}


@pytest.mark.parametrize(
    ("written", "demand"),
    [
        ({"count": 3}, HostDemand(count=3)),
        ({"not_resources": "refb"}, HostDemand(not_resources=["refb"])),
        ({"not_resources": ["refb", "refc"]}, HostDemand(not_resources=["refb", "refc"])),
        ({"where": "resource.cpus % 4 == 0"}, HostDemand(where="resource.cpus % 4 == 0")),
        (
            {"provisioning": {"image": "jammy", "disk": "20GiB", "parameters": {"size": 2}}},
            HostDemand(
                provisioning=Provisioning(image="jammy", disk="20GiB", parameters={"size": "2"})
            ),
        ),
        ({"provisioning": {"disk": 1024}}, HostDemand(provisioning=Provisioning(disk="1024"))),
        (
            {"cpus": 8, "any_of": [{"gpus": "h100"}, {"gpus": "a100", "where": "true"}]},
            HostDemand(
                cpus="8",
                any_of=[
                    HostDemand(gpus=[GpuDemand(model="h100")]),
                    HostDemand(gpus=[GpuDemand(model="a100")], where="true"),
                ],
            ),
        ),
        ({"any_of": [{}]}, HostDemand(any_of=[HostDemand()])),
        ({"count": None, "any_of": None, "provisioning": None}, HostDemand()),
    ],
)
def test_each_key_reaches_the_contract(written: dict[str, Any], demand: HostDemand) -> None:
    assert read(db=written).hosts["db"] == demand


def test_they_describe_the_lone_host_too() -> None:
    found = read(count=3, provisioning={"image": "jammy"}, any_of=[{"cpus": 2}], different="rack")
    assert dict(found.hosts) == {
        "host": HostDemand(
            count=3, provisioning=Provisioning(image="jammy"), any_of=[HostDemand(cpus="2")]
        )
    }
    assert list(found.relations) == [Relation(kind=DIFFERENT, label="rack")]


@pytest.mark.parametrize(
    ("written", "field", "said"),
    [
        ({"count": 0}, "db.count", "no count of hosts; write 1 to 64"),
        ({"count": 65}, "db.count", "1 to 64"),
        ({"count": True}, "db.count", "1 to 64"),
        ({"count": "2"}, "db.count", "1 to 64"),
        ({"not": "refb"}, "db.not", "unknown demand key 'not'"),
        ({"where": 4}, "db.where", "is no expression"),
        ({"provisioning": "jammy"}, "db.provisioning", "is not a mapping such as"),
        ({"provisioning": {"imgae": "x"}}, "db.provisioning", "did you mean 'image'"),
        ({"provisioning": {"parameters": ["a"]}}, "db.provisioning", "no mapping of names"),
        ({"any_of": {"cpus": 8}}, "db.any_of", "no list of mappings"),
        ({"any_of": "cpus=8"}, "db.any_of", "no list of mappings"),
        ({"any_of": 4}, "db.any_of", "no list of mappings"),
        ({"any_of": [{}] * 9}, "db.any_of", "at most 8"),
        ({"any_of": [{}, 4]}, "db.any_of[1]", "no mapping of demand keys"),
        ({"any_of": [{"cpsu": 4}]}, "db.any_of[0].cpsu", "did you mean 'cpus'"),
        ({"any_of": [{"count": 2}]}, "db.any_of[0].count", "unknown demand key 'count'"),
        ({"any_of": [{"any_of": []}]}, "db.any_of[0].any_of", "unknown demand key 'any_of'"),
    ],
)
def test_what_is_wrong_is_said_of_its_own_field(
    written: dict[str, Any], field: str, said: str
) -> None:
    violations = refused(db=written)
    assert list(violations) == [field]
    assert said in violations[field]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert set(refused(db={"count": 0, "any_of": [{"cpus": []}]}, same={"rack": "web"})) == {
        "db.count",
        "db.any_of[0].cpus",
        "same",
    }


@pytest.mark.parametrize(
    ("written", "groups"),
    [
        ("rack", [("rack", [])]),
        (["rack", "site"], [("rack", []), ("site", [])]),
        ({"rack": "all"}, [("rack", [])]),
        ({"rack": []}, [("rack", [])]),
        ({"rack": "db"}, [("rack", ["db"])]),
        ({"rack": ["db", "edge"], "site": "all"}, [("rack", ["db", "edge"]), ("site", [])]),
        ({"rack": [["db", "edge"], ["app"]]}, [("rack", ["db", "edge"]), ("rack", ["app"])]),
        (None, []),
        ([], []),
    ],
)
@pytest.mark.parametrize(("key", "kind"), [("same", SAME), ("different", DIFFERENT)])
def test_relations_are_written_in_several_ways(
    key: str, kind: RelationKind.ValueType, written: Any, groups: list[tuple[str, list[str]]]
) -> None:
    found = read(db={"count": 2}, edge={}, app={}, **{key: written})
    assert list(found.relations) == [
        Relation(kind=kind, label=label, hosts=hosts) for label, hosts in groups
    ]
    assert set(found.hosts) == {"db", "edge", "app"}


def test_a_mapping_says_them_as_keywords_do() -> None:
    written = {"db": {}, "edge": {}, "same": {"switch": ["db", "edge"]}}
    assert read_demands(written, {}) == read(**written)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"rack": ["dbb"]}, "no host 'dbb', did you mean 'db'? (hosts: db)"),
        ({"rack": {"db": 1}}, "no list of hosts"),
        ({"rack": 4}, "neither text nor a list"),
        ({"rack": [["db"], 4]}, "neither text nor a list"),
        ({"": "all"}, "a label has no name"),
        (4, "neither text nor a list"),
    ],
)
def test_a_relation_that_makes_no_sense_is_refused(written: Any, said: str) -> None:
    assert said in refused(db={}, different=written)["different"]


@pytest.mark.parametrize("meant_as_host", [{}, {"cpus": 8}, {"labels": ["jetson"]}, {"os": {}}])
@pytest.mark.parametrize("name", ["same", "different"])
def test_no_host_can_be_called_as_a_relation_is(name: str, meant_as_host: Any) -> None:
    assert f"call no host {name!r}" in refused(db={}, **{name: meant_as_host})[name]


def test_copies_of_a_host_are_no_names_for_relations() -> None:
    assert "did you mean 'db'" in refused(db={"count": 2}, same={"rack": ["db-1"]})["same"]
