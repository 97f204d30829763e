"""What is stored of connections and requestors is what was said."""

from hwprovisioner.allocate.stored_texts import (
    connection_message,
    connection_to_json,
    requestor_message,
    requestor_to_json,
)
from hwprovisioner.v1.allocation_pb2 import Requestor
from hwprovisioner.v1.resource_pb2 import Connection


def test_a_connection_comes_back_as_it_was() -> None:
    for port in (22, 23, 22):
        said = Connection(protocol="ssh", address="::1", port=port, properties={"a": "b", "c": ""})
        assert connection_message(connection_to_json(said)) == said


def test_a_requestor_comes_back_as_they_were() -> None:
    for user in ("ann", "", "ann"):
        said = Requestor(user=user, job_link="https://ci/1")
        assert requestor_message(requestor_to_json(said)) == said


def test_what_is_not_known_any_longer_is_left_out() -> None:
    assert requestor_message('{"user": "ann", "shoe": "42"}') == Requestor(user="ann")
    assert connection_message('{"protocol": "ssh", "shoe": "42"}') == Connection(protocol="ssh")
    assert requestor_message("") == Requestor()
