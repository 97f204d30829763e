"""Records of the journal: each is read as it was written."""

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.resourcemanager import Connection, Hold, Instance, OperatingSystem, Share
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.records import Pooled, Put, Unpooled, decode, encode

words = st.text(max_size=20)


@st.composite
def any_held(draw: st.DrawFn) -> Held:
    share = Share(draw(st.integers(0, 64)), draw(st.integers(0, 2**63 - 1)), (0, 3))
    hold = Hold(
        id=draw(words),
        resource=draw(words),
        fence=draw(st.integers(0, 2**63 - 1)),
        share=share,
        user=draw(words),
        demand={"cpus": draw(words), "labels": [draw(words)]},
    )
    connection = Connection("ssh", draw(words), 22, properties={draw(words): draw(words)})
    phase = draw(st.sampled_from(list(Phase)))
    reason, is_lost = draw(words), draw(st.booleans())
    return Held(hold, phase, draw(st.sampled_from([None, connection])), reason, is_lost)


@given(any_held())
def test_a_record_is_read_as_it_was_written(held: Held) -> None:
    line = encode(Put(held))
    assert decode(line) == Put(held)
    assert line.count(b"\n") == 1


@given(words, words, st.integers(0, 2**53))
def test_an_instance_is_read_as_it_was_written(name: str, word: str, size: int) -> None:
    instance = Instance(
        name, Share(1, size, (2,)), word, OperatingSystem(word), size, parameters={word: word}
    )
    for record in (Pooled(word, instance, word), Unpooled(name)):
        assert decode(encode(record)) == record
