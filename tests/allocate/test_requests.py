"""What is refused, and that every wrong field is named once."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.allocate.demand import HostDemand, SetDemand
from hwprovisioner.allocate.requests import Asked, AskedBooking, read_booking, read_request
from hwprovisioner.v1.allocate_service_pb2 import BookRequest
from hwprovisioner.v1.allocation_pb2 import Requestor
from support.asking import new_request, seconds, wanting
from support.refused import HUGE, refused


def refused_request(**fields: Any) -> list[str]:
    return refused(lambda: read_request(new_request(**fields)))


def test_what_is_left_out_has_its_default() -> None:
    asked = read_request(new_request(request_id=""))
    assert asked == Asked(SetDemand({"host": HostDemand()}), "", 0, 30_000, 0, 0, "")


@pytest.mark.parametrize(
    ("request_fields", "fields"),
    [
        ({"request_id": "short"}, ["request_id"]),
        ({"request_id": HUGE}, ["request_id"]),
        ({"priority": 101}, ["priority"]),
        ({"priority": -(2**31)}, ["priority"]),
        ({"lease_ttl": 0.999}, ["lease_ttl"]),
        ({"lease_ttl": 0}, ["lease_ttl"]),
        ({"lease_ttl": 86_401}, ["lease_ttl"]),
        ({"wait_timeout": 0}, ["wait_timeout"]),
        ({"wait_timeout": -5}, ["wait_timeout"]),
        ({"max_duration": 31 * 86_400}, ["max_duration"]),
        ({"lease_ttl": Duration(seconds=5, nanos=2_000_000_000)}, ["lease_ttl.nanos"]),
        ({"lease_ttl": Duration(seconds=5, nanos=-1)}, ["lease_ttl.nanos"]),
        ({"requestor": Requestor(user=HUGE, command="ls")}, ["requestor.user"]),
        ({"demands": wanting(**{"Not A Name": {}})}, ["demands.hosts['Not A Name']"]),
        ({"demands": wanting(**{HUGE: {}})}, [f"demands.hosts['{'x' * 40}…']"]),
        ({"demands": wanting(**{f"h{n}": {} for n in range(65)})}, ["demands.hosts"]),
    ],
)
def test_a_wrong_field_of_a_request_is_named_once(
    request_fields: dict[str, Any], fields: list[str]
) -> None:
    assert refused_request(**request_fields) == fields


def test_no_hosts_at_all_are_refused() -> None:
    request = new_request()
    request.demands.Clear()
    assert refused(lambda: read_request(request)) == ["demands.hosts"]


def test_all_wrong_fields_are_named_together() -> None:
    demands = wanting(a={"cpus": "x"}, b={"memory": "y", "labels": [" "]})
    assert refused_request(demands=demands, priority=1000, lease_ttl=0) == [
        "demands.hosts['a'].cpus",
        "demands.hosts['b'].memory",
        "demands.hosts['b'].labels[0]",
        "priority",
        "lease_ttl",
    ]


@pytest.mark.parametrize("value", [1, 86_400])
def test_limits_of_the_lease_are_allowed(value: int) -> None:
    asked = read_request(new_request(lease_ttl=value, wait_timeout=seconds(0.001), priority=-100))
    assert (asked.ttl_ms, asked.wait_ms, asked.priority) == (value * 1000, 1, -100)


ID = "0123456789abcdef"
START = Timestamp(seconds=1_700_000_000, nanos=1_500_000)
MINUTE = 60
MONTH = 30 * 86_400


def booking(**fields: Any) -> BookRequest:
    said: dict[str, Any] = {"demands": wanting(host={}), "request_id": ID, "start_time": START}
    return BookRequest(**said | {"end_time": after(MINUTE)} | fields)


def after(span_s: int) -> Timestamp:
    """So long after START."""
    return Timestamp(seconds=START.seconds + span_s, nanos=START.nanos)


@pytest.mark.parametrize("span_s", [MINUTE, MONTH])
def test_a_booking_is_read(span_s: int) -> None:
    asked = read_booking(booking(end_time=after(span_s), lease_ttl=seconds(5)))
    begin = 1_700_000_000_001
    demands = SetDemand({"host": HostDemand()})
    assert asked == AskedBooking(demands, ID, 5_000, begin, begin + span_s * 1000, "")


def test_a_booking_whose_lease_is_not_said_has_the_usual_one() -> None:
    assert read_booking(booking()).ttl_ms == 30_000


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"end_time": after(MINUTE - 1)}, ["end_time"]),
        ({"end_time": after(MONTH + 1)}, ["end_time"]),
        ({"end_time": after(-MINUTE)}, ["end_time"]),
        ({"end_time": None}, ["end_time"]),
        ({"start_time": None}, ["start_time"]),
        ({"start_time": None, "end_time": None}, ["start_time", "end_time"]),
        ({"start_time": Timestamp(seconds=-1)}, ["start_time"]),
        ({"start_time": Timestamp(seconds=2**60)}, ["start_time"]),
        ({"start_time": Timestamp(seconds=START.seconds, nanos=-1)}, ["start_time.nanos"]),
        ({"request_id": "short", "lease_ttl": seconds(0)}, ["request_id", "lease_ttl"]),
        ({"requestor": Requestor(user=HUGE)}, ["requestor.user"]),
        ({"demands": wanting(db={"cpus": "x"})}, ["demands.hosts['db'].cpus"]),
    ],
)
def test_a_wrong_field_of_a_booking_is_named_once(fields: dict[str, Any], wrong: list[str]) -> None:
    assert refused(lambda: read_booking(booking(**fields))) == wrong
