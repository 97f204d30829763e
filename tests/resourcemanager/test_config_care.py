"""resources.yml: warm pools, care, and where what is declared stands."""

from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import Resource, Share, parse_config
from hwprovisioner.resourcemanager.model import Care, WarmPool
from hwprovisioner.resourcemanager.schema import CareSection, PoolSection
from support.lab_file import load, problems

GIB = 1024**3


def rack(pool: str, limits: str = "instances: 4", driver: str = "folder", more: str = "") -> str:
    return f"""
resources:
  dynamic:
    rack:
      driver: {driver}
      kind: container
      options: {{{"folder: /tmp" if driver == "folder" else ""}}}
      limits: {{{limits}}}
      {more}
      pool: {pool}
"""


def read(text: str) -> Resource:
    return parse_config(text, load=load).resources["rack"]


def test_a_pool_is_read() -> None:
    pool = "{min: 2, max: 4, idle: 15m, image: small, cpu: 2, mem: 1Gi, disk: 10Gi}"
    assert read(rack(pool)).pool == WarmPool(2, 4, 900.0, Share(2, GIB), "small", 10 * GIB)


def test_a_pool_has_what_a_share_has_whose_demand_does_not_say() -> None:
    assert read(rack("{}")).pool == WarmPool(1, 1, 600.0, Share(1))
    assert read(rack("{min: 3}", more="default: {cpu: 4, mem: 1Gi}")).pool == WarmPool(
        3, 3, 600.0, Share(4, GIB)
    )
    assert read(rack("")).pool is None


@pytest.mark.parametrize(
    ("pool", "limits", "said"),
    [
        ("{min: 3, max: 2}", "instances: 4", "10:13: {}: has a `min` of 3, more than its `max`"),
        ("{min: 0}", "instances: 4", "10:13: {}: with `min: 0` needs a `max`"),
        ("{min: -1}", "instances: 4", "10:19: {}.min: should be 0 or more"),
        ("{max: 0}", "instances: 4", "10:19: {}.max: should be 1 or more"),
        ("{size: 3}", "instances: 4", "10:14: {}.size: unknown key"),
        ("{idle: soon}", "instances: 4", "10:20: {}.idle: 'soon' is no span of time"),
        (
            "{max: 5}",
            "instances: 4",
            "10:7: {}: keeps up to 5 ready, more than limits.instances: 4",
        ),
        (
            "{min: 2, cpu: 3}",
            "instances: 4, cpu: 5",
            "10:7: {}: `min` cannot be kept: 2 of 3 each are more than limits.cpu: 5",
        ),
        (
            "{min: 2, mem: 3G}",
            "instances: 4, mem: 5G",
            "10:7: {}: `min` cannot be kept: 2 of 3,000,000,000 each are more than limits.mem",
        ),
    ],
)
def test_a_pool_that_cannot_be_is_explained(pool: str, limits: str, said: str) -> None:
    [problem] = problems(rack(pool, limits))
    assert problem.startswith(f"lab.yml:{said.format('resources.dynamic.rack.pool')}")


def test_only_what_makes_something_has_a_pool() -> None:
    [problem] = problems(rack("{min: 1}", driver="fake"))
    assert problem == (
        "lab.yml:10:7: resources.dynamic.rack.pool: "
        "driver fake makes nothing that could be kept ready"
    )
    text = "resources: {static: {box: {driver: fake, kind: edge, pool: {}}}}"
    assert problems(text) == [
        "lab.yml:1:54: resources.static.box.pool: unknown key; only dynamic resources have it"
    ]


def test_care_is_read_and_has_defaults() -> None:
    care = "{clean_tries: 3, clean_within: 5m, repair_tries: 0, facts_every: 1h}"
    assert read(rack("", more=f"care: {care}")).care == Care(3, 300.0, 0, 3600.0)
    assert read(rack("")).care == Care()
    [problem] = problems(rack("", more="care: {clean_tries: 0}"))
    assert "care.clean_tries: should be 1 or more, is '0'" in problem


def test_it_is_known_where_what_is_declared_stands() -> None:
    text = """
resources:
  static:
    box: {driver: fake, kind: edge, cpu: 4,
      mem: 1G, gpus: [],
      os: {}}
"""
    config = parse_config(text, load=load)
    assert config.resources["box"].lines == {"cpu": 4, "mem": 5, "gpus": 5, "os": 6}
    assert read(rack("", "instances: 4, cpu: 5")).lines == {"cpu": 8}
    # A line more above it changes nothing.
    assert parse_config(f"\n{text}", load=load) == config


def test_the_page_of_the_file_knows_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "resources.md").read_text()
    for word in (*PoolSection.model_fields, *CareSection.model_fields):
        assert f"| `{word}` |" in page
