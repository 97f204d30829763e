"""What the plugin reads from the markers of a test."""

import pytest

from hwprovisioner.client.pytesting.markers import BadMarker, read


class Mark:
    """What pytest makes of a marker."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.args = args
        self.kwargs = kwargs


def test_equal_wants_share_and_different_ones_do_not() -> None:
    one = read([Mark(db={"cpus": 1, "memory": "1G"})])
    same = read([Mark(db={"memory": "1G", "cpus": 1})])
    other = read([Mark(db={"cpus": 1, "memory": "1G"}, priority=1)])
    assert one.key == same.key != other.key
    with pytest.raises(BadMarker):
        read([Mark(4)])


def test_relations_are_put_together_each_as_a_whole() -> None:
    hosts: dict[str, object] = {"db": {"count": 2}, "edge": {}}
    nearer = Mark(**hosts, same={"switch": "db"})
    found = read([nearer, Mark(same="switch", different="rack", wait="5m")])
    assert found.demands == {**hosts, "same": {"switch": "db"}, "different": "rack"}
    assert found.options == {"wait": "5m"}
    assert found.key != read([Mark(**hosts)]).key
    assert read([Mark(different="rack")]).demands == {"host": {}, "different": "rack"}
