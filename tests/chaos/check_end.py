"""What is there at the end is what the log has told, all of it."""

from collections.abc import Iterable, Iterator

from chaos.broken import Broken
from chaos.history import Line
from chaos.story import Story


def check_end(lines: Iterable[Line], story: Story) -> Iterator[Broken]:
    for line in lines:
        if line.kind == "records":
            for kind in ("allocation", "resource"):
                yield from _differences(kind, line, story)
        elif line.kind == "failed":
            yield Broken.by(0, f"{line['target']} did not do as it was told: {line['why']}", line)
        elif line.kind == "stuck":
            yield Broken.by(9, f"nothing became ready for {line['s']} s, though all wait", line)


def _differences(kind: str, line: Line, story: Story) -> Iterator[Broken]:
    told = story.records[kind]
    for record_id in sorted(told.keys() | line[kind].keys()):
        there, known = line[kind].get(record_id, {}), told.get(record_id, {})
        names = {name for name in there.keys() | known.keys() if there.get(name) != known.get(name)}
        if names:
            what = f"{kind} {record_id} is not what the log has told: {sorted(names)}"
            changes = [c.line for c in story.changes if c.kind == kind and c.id == record_id]
            yield Broken.by(10, what, *changes[-1:])
