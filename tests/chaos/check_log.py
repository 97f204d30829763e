"""What must hold of the change log by itself, entry by entry."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from chaos.broken import Broken
from chaos.history import Line
from chaos.story import Change, Story
from hwprovisioner.state.tables import ALLOCATION, HOLD

_TABLES = {"allocation": ALLOCATION, "hold": HOLD}


def check_log(lines: Sequence[Line], story: Story) -> Iterator[Broken]:
    yield from _revisions(lines)
    yield from _transitions(story)
    yield from _fences(story)
    yield from _fences_of_holds(lines, story)
    yield from _capacity(story)
    yield from _sets(story)


def _revisions(lines: Iterable[Line]) -> Iterator[Broken]:
    before: Line | None = None
    may_lose = False
    for line in lines:
        if line.kind == "fault" and line.get("loses"):
            may_lose = True
        elif line.kind == "rewound":
            if not may_lose:
                yield Broken.by(13, "Redis has lost changes that it had acknowledged", before, line)
            before, may_lose = None, False
        elif line.kind == "log":
            # Of a copy that may lack something revisions go on far above all that can have been.
            is_next = before is None or line["revision"] == before["revision"] + 1
            if not is_next and line["event"] != "recognize":
                yield Broken.by(13, "there is a gap in the change log", before, line)
            before = line


def _transitions(story: Story) -> Iterator[Broken]:
    """What is in one state goes only where its table leads."""
    last: dict[tuple[str, str], Line] = {}
    for change in story.changes:
        table = _TABLES.get(change.kind)
        before, after = change.before.get("state", ""), change.after.get("state", "")
        if table and before and after and before != after:
            if after not in table[before].values():  # type: ignore[index]
                what = f"{change.kind} {change.id} went from {before} to {after}"
                yield Broken.by(6, what, last.get((change.kind, change.id)), change.line)
        last[change.kind, change.id] = change.line


def _fences(story: Story) -> Iterator[Broken]:
    highest: dict[str, tuple[int, Line]] = {}
    for change in story.changes:
        if change.kind == "resource" and "fence" in change.after:
            fence = int(change.after["fence"])
            known = highest.get(change.id)
            if known and fence < known[0]:
                what = f"the fence of {change.id} fell from {known[0]} to {fence}"
                yield Broken.by(2, what, known[1], change.line)
            highest[change.id] = (fence, change.line)


def _fences_of_holds(lines: Iterable[Line], story: Story) -> Iterator[Broken]:
    """A fence rises with each new hold, and at its end.

    Of an offer that Redis has lost before its manager took it up nobody knows.
    """
    taken_up = {(line["hold"], line["allocation"]) for line in lines if line.kind == "hardware"}
    for change in story.changes:
        before, after = change.before, change.after
        if change.kind == "hold" and after.get("state") == "CLEANING" != before.get("state"):
            if int(after.get("fence", 0)) <= int(before.get("fence", 0)):
                what = f"the end of hold {change.id} did not raise its fence"
                hold = story.holds.get(change.id)
                yield Broken.by(2, what, hold.granted if hold else None, change.line)
    begun: dict[str, tuple[int, Line]] = {}
    lost_holds = [h for h in story.lost_holds.values() if (h.id, h.allocation) in taken_up]
    holds = sorted((*story.holds.values(), *lost_holds), key=lambda hold: hold.granted.at)
    for hold in holds:
        known = begun.get(hold.resource)
        # What Redis has lost is given back to whom it belongs, with the fence that it had.
        lost = story.lost_holds.get(hold.id)
        is_retaken = lost is not None and lost.allocation == hold.allocation
        if known and hold.fence <= known[0] and not is_retaken:
            what = f"hold {hold.id} began with fence {hold.fence}, after {known[0]}"
            yield Broken.by(2, what, known[1], hold.granted)
        begun[hold.resource] = (hold.fence, hold.granted)


def _capacity(story: Story) -> Iterator[Broken]:
    """Nothing is granted while something else holds it, being cleaned too; boards are exclusive."""
    present: dict[str, dict[str, Line]] = defaultdict(dict)
    for change in story.changes:
        if change.kind != "hold":
            continue
        resource = change.after.get("resource") or change.before.get("resource", "")
        if not change.after:
            present[resource].pop(change.id, None)
        elif not change.before:
            for other, granted in present[resource].items():
                what = f"{resource} was granted for {change.id} while it was {other}'s"
                yield Broken.by(1, what, granted, change.line)
            present[resource][change.id] = change.line


def _sets(story: Story) -> Iterator[Broken]:
    """A grant makes all holds that were asked for, in one entry of the log."""
    made: dict[int, list[Change]] = defaultdict(list)
    for change in story.changes:
        if change.kind == "hold" and not change.before:
            made[change.line["revision"]].append(change)
    for change in story.changes:
        is_grant = change.kind == "allocation" and change.line["event"] == "grant"
        if is_grant and "demands" in change.after:  # where the log has a gap, much is not known
            asked = len(json.loads(change.after["demands"]).get("hosts", {}))
            got = len(made[change.line["revision"]])
            if got != asked:
                what = f"allocation {change.id} asked for {asked} hosts and was granted {got}"
                yield Broken.by(7, what, change.line)
