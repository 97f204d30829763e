"""What is whose is what the records say, whatever happens to them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.belongings import Belongings
from hwprovisioner.state.transitions import Commit
from hwprovisioner.state.view import View

MANAGERS = ("m", "n")
IDENTITIES = {"resource": "name", "hold": "id"}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(tuple(IDENTITIES)),
        st.sampled_from(("a", "b", "c")),
        st.sampled_from(MANAGERS) | st.none(),
    )
)


def change(view: View, kind: str, name: str, manager: str | None) -> None:
    """Give a record to a manager, or delete it."""
    changed: list[object] = [kind, name]
    if manager is not None:
        changed.append([IDENTITIES[kind], name, "manager", manager])
    view.offer(Commit(view.revision + 1, 0, "test", json.dumps([changed])))


@given(STEPS, STEPS)
def test_what_is_whose_is_what_the_records_say(
    before: list[tuple[str, str, str | None]], after: list[tuple[str, str, str | None]]
) -> None:
    view, other = View(), View()
    belongings = Belongings(view)
    for step in before:
        change(other, *step)
    view.load(other.revision, [*other.resources.values(), *other.holds.values()])
    for step in after:
        change(view, *step)
        for manager in MANAGERS:
            resources = [each for each in view.resources.values() if each.manager == manager]
            holds = [each for each in view.holds.values() if each.manager == manager]
            assert sorted(each.name for each in resources) == sorted(belongings.names(manager))
            assert {each.name: each for each in resources} == {
                each.name: each for each in belongings.resources(manager)
            }
            assert {each.id: each for each in holds} == {
                each.id: each for each in belongings.holds(manager)
            }
