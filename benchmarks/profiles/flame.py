"""Draws stacks as a flame graph: the wider, the more time; what is called stands above."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

from benchmarks.profiles.stacks import OURS, Stack
from hwprovisioner.allocate.simulate.drawing import CHART_STYLE

_WIDTH, _ROW, _TOP = 1000, 18, 40
_LEAST = 0.004
"""Narrower ones are left out."""
_LETTER = 6.2
_COLOURS = {"(C)": "#d9b382", "system calls": "#b0b7c3", "(grpc": "#d9a05b"}
_OURS, _OTHERS = "#7fb3e6", "#c9d6e2"
_STYLE = f"""{CHART_STYLE}  .call {{ font-size: 11px; fill: #1f2933 }}
"""


@dataclass
class _Node:
    count: int = 0
    calls: dict[str, "_Node"] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        return 1 + max((node.depth for node in self.calls.values()), default=0)


def draw(title: str, stacks: Mapping[Stack, int]) -> str:
    """Return a picture; pointing at a part tells its name and share."""
    root = _Node()
    for stack, count in stacks.items():
        node = root
        node.count += count
        for name in stack:
            node = node.calls.setdefault(name, _Node())
            node.count += count
    _prune(root, _LEAST * root.count)
    height = _TOP + _ROW * root.depth + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
            f' width="{_WIDTH}" height="{height}">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style>",
            f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
            f'<text class="title" x="8" y="24">{escape(title)}</text>',
            *_boxes(root, 0.0, height - 8 - _ROW, _WIDTH / max(root.count, 1), root.count),
            "</svg>\n",
        ]
    )


def _prune(node: _Node, least: float) -> None:
    node.calls = {name: call for name, call in node.calls.items() if call.count >= least}
    for call in node.calls.values():
        _prune(call, least)


def _boxes(node: _Node, x: float, y: float, scale: float, total: int) -> Iterator[str]:
    for name, call in sorted(node.calls.items(), key=lambda pair: -pair[1].count):
        width = call.count * scale
        text = name.partition(" (")[0] if "(C)" not in name else name
        letters = int((width - 6) / _LETTER)
        label = text if len(text) <= letters else text[: letters - 1] + "…" if letters > 3 else ""
        yield (
            f'<g><title>{escape(name)}: {call.count / total:.1%}</title><rect x="{x:.1f}" y="{y}"'
            f' width="{max(width - 0.5, 0.5):.1f}" height="{_ROW - 1}" fill="{_colour(name)}"/>'
        )
        yield f'<text class="call" x="{x + 3:.1f}" y="{y + 13}">{escape(label)}</text></g>'
        yield from _boxes(call, x, y - _ROW, scale, total)
        x += width


def _colour(name: str) -> str:
    if any(f"({part}" in name for part in OURS):
        return _OURS
    return next((colour for sign, colour in _COLOURS.items() if sign in name), _OTHERS)
