"""``make bench-docs``: puts what was measured here last into docs/performance.md.

What stands there between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` is written anew:
``figures`` and ``machine`` of all cases, ``growth-…`` of one that is drawn as a curve,
``profile-…`` of one that was profiled. Pictures go to docs/performance/. What was measured with
``--tolerant`` does not.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.frame import drawing, results
from benchmarks.frame.results import RESULTS
from benchmarks.frame.table import number

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, PICTURES = DOCS / "performance.md", DOCS / "performance"
_BLOCK = re.compile(r"(<!-- begin (?P<name>\S+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)
_LARGEST = 8
Kept = Mapping[str, Any]


def main() -> int:
    """Write the page and its pictures; returns 0."""
    kept = results.read(RESULTS, [case.name for case in CASES])
    profiles = {file.stem: json.loads(file.read_text()) for file in RESULTS.glob("profiles/*.json")}
    quiet = [case for case in kept if not case["tolerant"]]
    grown = [case for case in quiet if "growth" in case]
    blocks: dict[str, str] = {
        "machine": _machine(quiet),
        "figures": figures([case for case in quiet if "growth" not in case]),
        **{case["name"]: growth(case) for case in grown},
        **{f"profile-{name}": profile(found) for name, found in profiles.items()},
    }
    PAGE.write_text(filled(PAGE.read_text(), blocks))
    PICTURES.mkdir(exist_ok=True)
    judged = [figure for case in quiet for figure in case["figures"]]
    (PICTURES / "glance.svg").write_text(drawing.glance(judged))
    for case in grown:
        (PICTURES / f"{case['name']}.svg").write_text(drawing.growth(case))
    for picture in RESULTS.glob("profiles/*.svg"):
        shutil.copy(picture, PICTURES / f"profile-{picture.name}")
    return 0


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """Return a page with its blocks written anew; those that are not given stay as they are."""

    def block(found: re.Match[str]) -> str:
        text = blocks.get(found["name"])
        return found[0] if text is None else f"{found[1]}\n{text.strip()}\n\n{found[3]}"

    return _BLOCK.sub(block, page)


def _machine(kept: Sequence[Kept]) -> str:
    if not kept:
        return "Not measured yet: `make bench`, then `make bench-docs`."
    newest = max(kept, key=lambda case: str(case["measured"]))
    machine, versions = newest["machine"], newest["versions"]
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    commits = sorted({str(case["commit"]) for case in kept})
    when = f"Measured until {newest['measured']} at {' and '.join(commits)}"
    processor = f"{machine['processor']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}"
    return f"{when}, on {machine['cores']} cores ({processor}): {said}."


def figures(kept: Sequence[Kept]) -> str:
    """Return all figures of cases as a table, each case with its name."""
    if not kept:
        return "Not measured yet."
    lines = ["| | median | spread | wanted | |", "|---|---:|---|---|---|"]
    for case in kept:
        lines.append(f"| **{case['what']}** (`{case['name']}`) | | | | |")
        lines += [_figure(each) for each in case["figures"]]
    return "\n".join(lines)


def _figure(figure: Kept) -> str:
    name, bound = figure["name"], _bound(figure)
    if figure["verdict"] == "not measured":
        return f"| {name} | | | {bound} | not measured: {figure['why']} |"
    low, high = figure["spread"]
    spread = f"{number(low)} to {number(high)}"
    verdict = "" if figure["verdict"] == "told" else figure["verdict"].lower()
    verdict = f"**{verdict}**" if verdict == "falls short" else verdict
    return (
        f"| {name} | {number(figure['value'])} {figure['unit']} | {spread} | {bound} | {verdict} |"
    )


def _bound(figure: Kept) -> str:
    unit = "" if figure["unit"] in ("", "x") else f" {figure['unit']}"
    said = [
        f"{figure[which]:g}{unit}" for which in ("at_most", "at_least") if figure[which] is not None
    ]
    sign = "≤" if figure["at_most"] is not None else "≥"
    return f"{sign} {' '.join(said)}" if said else ""


def growth(case: Kept) -> str:
    """Return a curve and its figures."""
    grown = case["growth"]
    points = grown["points"]
    sizes = " | ".join(f"{size:,}" for size, *_ in points)
    costs = " | ".join(f"{number(cost)} {grown['unit']}" for _, cost, *_ in points)
    words = f"expected: {grown['theory_words']}"
    return (
        f"![{grown['what']}, by {grown['of']}; {words}](performance/{case['name']}.svg)\n\n"
        f"| {grown['of']} | {sizes} |\n|---|{'---|' * len(points)}\n| {grown['what']} | {costs} |"
    )


def profile(found: Kept) -> str:
    """Return who used the processors, and where the time of the profiled process goes."""
    cores = ", ".join(f"{name} {share:.2f}" for name, share in found["cores"].items())
    lines = [
        f"{found['samples']} samples at {found['commit']}. Cores used: {cores}; of these"
        f" {found['other_threads']:.2f} in other threads than the first.\n",
        "| caused by | | itself at work | |",
        "|---|---:|---|---:|",
        *_largest(found["parts"], found["own"]),
    ]
    return "\n".join(lines)


def _largest(parts: Mapping[str, float], own: Mapping[str, float]) -> Iterator[str]:
    pairs = zip(list(parts.items())[:_LARGEST], list(own.items())[:_LARGEST], strict=False)
    for (part, caused), (frame, at_work) in pairs:
        yield f"| `{part}` | {caused:.0%} | `{frame}` | {at_work:.0%} |"


if __name__ == "__main__":
    sys.exit(main())
