"""Flame graphs of the bytes that survive, as inline SVG: the root above, the allocating calls below.

`fragment(flames)` returns the graphs of one engine for the report, readable without a script by keyboard and screen
reader. `page(title, flames)` returns a whole page, where a click or Enter zooms.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from soakd.report.call_trees import Call, Flame
from soakd.report.html.markup import text
from soakd.units import format_bytes

ROW_PX = 20
LEAST_SHARE = 0.002
"""Least share of the whole that is drawn."""
MOST_DEPTH = 60
LONGEST_NAME = 300
HEAVIEST = 10
"""Leaves in the table below a graph."""
KINDS = {"python": "Python", "rust": "Rust", "native": "other native code", "other": "not code of the engine"}
FILES = Path(__file__).parent


class Box(NamedTuple):
    """One drawn call; shares of the whole, 0 to 1."""

    call: Call
    depth: int
    begin: float
    width: float


def fragment(flames: Sequence[Flame]) -> str:
    """Return the graphs of some looks, with their style, as markup for a page of HTML; "" where there are none.

    `call_trees.collect(run)` gives them, `Flame.engine` says whose they are.
    """
    return f"<style>{_asset('flamegraph.css')}</style>{''.join(_figure(flame) for flame in flames)}" if flames else ""


def page(title: str, flames: Sequence[Flame]) -> str:
    """Return a whole page: every graph, with zoom and search."""
    name = text(title, LONGEST_NAME)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}: surviving bytes</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_asset('flamepage.css')}{_asset('flamegraph.css')}</style>\n</head>\n<body>\n<h1>{name}</h1>\n"
        "<p>Bytes that were allocated in a window of a deep look and not freed in it, per operation. "
        "The width of a call is its share. Click or press Enter to zoom, click a call above or press Escape to go "
        "back, arrows to move.</p>\n"
        '<p><label>Find <input type="search" class="flame-find" placeholder="module or function"></label> '
        '<output class="flame-found"></output></p>\n'
        f"{''.join(_figure(flame) for flame in flames)}\n<script>{_asset('flamegraph.js')}</script>\n</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8").strip()


def _figure(flame: Flame) -> str:
    root = flame.root
    boxes = list(_boxes(root, 0, 0.0, root.value))
    depth = 1 + max((box.depth for box in boxes), default=0)
    name = text(flame.engine)
    title = (
        f"{name}: {_rate(root.value)} survive" if flame.source == "capture" else f"{name}: {_rate(root.value)} named"
    )
    of = f"memray, {flame.operations:,} operations" if flame.source == "capture" else "the sites that were named"
    note = f" {text(flame.note)}." if flame.note else ""
    kinds = dict.fromkeys(_kind(box.call.name) for box in boxes if box.depth)
    legend = "".join(f'<span class="flame-key {kind}">{KINDS[kind]}</span>' for kind in KINDS if kind in kinds)
    return (
        f'<figure class="flame-figure"><figcaption><b>{title}</b> ({text(flame.route)} route, {of}).{note} {legend}'
        f'</figcaption><svg class="flame-graph" width="100%" height="{depth * ROW_PX}" role="tree" '
        f'aria-label="{title}">{"".join(_drawn(boxes, root.value))}</svg>'
        f'<p class="flame-said" aria-live="polite"></p>{_table(root)}</figure>'
    )


def _boxes(call: Call, depth: int, begin: float, whole: float) -> Iterator[Box]:
    width = call.value / whole if whole else 1.0
    if depth >= MOST_DEPTH or width < LEAST_SHARE:
        return
    yield Box(call, depth, begin, width)
    for below in sorted(call.calls.values(), key=lambda each: (-each.value, each.name)):
        yield from _boxes(below, depth + 1, begin, whole)
        begin += below.value / whole if whole else 0.0


def _drawn(boxes: Iterable[Box], whole: float) -> Iterator[str]:
    for box in boxes:
        name = text(box.call.name, LONGEST_NAME)
        label = f"{name}: {_rate(box.call.value)}, {box.width:.1%}" if whole else name
        kind = _kind(box.call.name) if box.depth else "all"
        yield (
            f'<svg class="call {kind}" x="{box.begin * 100:.3f}%" y="{box.depth * ROW_PX}" '
            f'width="{box.width * 100:.3f}%" height="{ROW_PX - 1}" role="treeitem" aria-level="{box.depth + 1}" '
            f'aria-label="{label}" tabindex="{-1 if box.depth else 0}" '
            f'data-x="{box.begin:.6f}" data-w="{box.width:.6f}">'
            f'<title>{label}</title><rect width="100%" height="100%"/><text x="4" y="14">{name}</text></svg>'
        )


def _kind(name: str) -> str:
    file = name.rpartition(" in ")[0].partition(":")[0] if " in " in name else name.partition(":")[0]
    if file.endswith((".py", ".pyx")):
        return "python"
    if file.endswith(".rs"):
        return "rust"
    return "native" if " in " in name and not name.startswith("(") else "other"


def _table(root: Call) -> str:
    """Return the table of the heaviest leaves, for print and for screen readers."""
    leaves = sorted(_leaves(root), key=lambda leaf: (-leaf[1], leaf[0]))[:HEAVIEST]
    rows = "".join(
        f"<tr><td>{text(name, LONGEST_NAME)}</td><td>{_rate(value)}</td>"
        f"<td>{value / root.value if root.value else 0.0:.1%}</td></tr>"
        for name, value in leaves
    )
    return (
        "<details><summary>The heaviest leaves</summary><table><thead><tr><th scope=col>call that allocates</th>"
        f"<th scope=col>per operation</th><th scope=col>share</th></tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _leaves(root: Call) -> list[tuple[str, float]]:
    """Return the bytes that each call allocated itself."""
    sums: dict[str, float] = {}
    todo = list(root.calls.values())
    while todo:
        call = todo.pop()
        own = call.value - sum(below.value for below in call.calls.values())
        if own > call.value * 1e-9:
            sums[call.name] = sums.get(call.name, 0.0) + own
        todo.extend(call.calls.values())
    return list(sums.items())


def _rate(value: float) -> str:
    return f"{format_bytes(value)}/op"
