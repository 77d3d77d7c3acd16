"""Curves as SVG: axes with units on every number, lines, ranges, shaded stretches. Colours are classes of the page."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from soakd.report.curves.values import CurvePiece
from soakd.report.html.markup import Html, join, tag
from soakd.units import format_duration
from soakd.verdict.wording import scale

WIDTH, HEIGHT = 560.0, 240.0
LEFT, RIGHT, TOP, BOTTOM = 72.0, 12.0, 10.0, 26.0
STEPS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000,
)  # fmt: skip
MOST_X, MOST_Y = 7, 5
ROOM = 0.06
"""Margin above and below the curves, as a share of their height."""

MINUS = "\N{MINUS SIGN}"
WORDS = {"elsewhere": "fault elsewhere", "idle": "no load"}

Place = Callable[[float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One drawn line, or a range where low and high differ."""

    name: str
    style: str
    """CSS classes."""
    pieces: Sequence[CurvePiece]
    words: str = ""
    """Text beside the name in the legend."""
    counts: bool = True
    """Whether the axis must show all of it."""


@dataclass(frozen=True, slots=True)
class Shade:
    """A marked interval of time."""

    from_s: float
    until_s: float
    style: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart over time."""

    unit: str
    """Of the base values, as `wording.scale` reads it."""
    from_s: float
    until_s: float
    traces: Sequence[Trace]
    shades: Sequence[Shade] = ()
    zero: bool = True
    """Whether the axis begins at 0."""
    signed: bool = False
    """Whether values are changes, with their sign."""
    log: bool = False
    """Whether each decade has the same height."""


def line(t_s: Sequence[float], y: Sequence[float]) -> CurvePiece:
    """Make a piece of a plain line."""
    return CurvePiece(t_s, y, y)


def draw(chart: Chart, description: str) -> Html:
    """Draw a chart; `description` is its text for screen readers."""
    low, high = _bounds(chart)
    across, down = _places(chart, low, high)
    box = tag("rect", x=_n(LEFT), y=_n(TOP), width=_n(WIDTH - LEFT - RIGHT), height=_n(HEIGHT - TOP - BOTTOM))
    parts = [
        *(_shade(shade, chart, across) for shade in chart.shades),
        *_y_axis(chart, low, high, down),
        *_x_axis(chart, across),
        _clipped(_trace(trace, across, down) for trace in chart.traces),
    ]
    return tag(
        "svg", tag("title", description), tag("g", box, class_="plot"), parts,
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", class_="chart", role="img",
    )  # fmt: skip


def _bounds(chart: Chart) -> tuple[float, float]:
    """Return the ends of the y axis."""
    counted = [piece for trace in chart.traces if trace.counts for piece in trace.pieces if piece.t_s]
    low = min((min(piece.low) for piece in counted), default=0.0)
    high = max((max(piece.high) for piece in counted), default=1.0)
    if chart.log:
        low = min((v for piece in counted for v in piece.low if v > 0), default=high or 1e-6)
        return low / 1.3, max(high, low) * 1.3
    if chart.zero:
        low, high = min(0.0, low), max(0.0, high)
    room = ROOM * (high - low) or abs(high) * ROOM or 1.0
    return (low if chart.zero and low == 0.0 else low - room), high + room


def _places(chart: Chart, low: float, high: float) -> tuple[Place, Place]:
    """Return the functions from times to x, and from values to y."""
    span_s = max(chart.until_s - chart.from_s, 1e-9)
    bottom, top = (math.log(low), math.log(high)) if chart.log else (low, high)

    def across(t_s: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, (t_s - chart.from_s) / span_s))

    def down(value: float) -> float:
        at = math.log(max(value, low)) if chart.log else value
        share = (at - bottom) / (top - bottom)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    return across, down


def _clipped(parts: Iterable[Html]) -> Html:
    """Clip parts to the plot by an inner svg, which needs no id of its own."""
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    view = f"{LEFT:g} {TOP:g} {width:g} {height:g}"
    return tag("svg", parts, x=_n(LEFT), y=_n(TOP), width=_n(width), height=_n(height), viewBox=view)


def _trace(trace: Trace, across: Place, down: Place) -> Html:
    paths = [Html(_path(piece, across, down)) for piece in trace.pieces if piece.t_s]
    area = any(piece.low is not piece.high and list(piece.low) != list(piece.high) for piece in trace.pieces)
    return tag("path", d=Html("".join(paths)), class_=f"{trace.style}{' range' if area else ''}")


def _path(piece: CurvePiece, across: Place, down: Place) -> str:
    """Return a path along the greatest values and, where they differ, back along the least."""
    x = [across(t_s) for t_s in piece.t_s]
    upper = _thin(list(zip(x, map(down, piece.high), strict=True)))
    if list(piece.low) == list(piece.high):
        if len(upper) == 1:  # a single reading is a dot
            return f"M{_n(upper[0][0] - 1)} {_n(upper[0][1])}h2"
        return "M" + "L".join(f"{_n(a)} {_n(b)}" for a, b in upper)
    lower = _thin(list(zip(x, map(down, piece.low), strict=True)))
    return "M" + "L".join(f"{_n(a)} {_n(b)}" for a, b in [*upper, *reversed(lower)]) + "Z"


def _thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Drop points between two others of the same height: most counters do not move."""
    return [
        point
        for i, point in enumerate(points)
        if i in (0, len(points) - 1) or not _n(points[i - 1][1]) == _n(point[1]) == _n(points[i + 1][1])
    ]


def _shade(shade: Shade, chart: Chart, across: Place) -> Html:
    left, right = across(shade.from_s), across(shade.until_s)
    if right <= LEFT or left >= WIDTH - RIGHT or shade.until_s < chart.from_s:
        return Html()
    width = max(right - left, 1.5)
    title = tag("title", shade.title)
    return tag(
        "rect", title, x=_n(left), y=_n(TOP), width=_n(width), height=_n(HEIGHT - TOP - BOTTOM),
        class_=f"shade {shade.style}",
    )  # fmt: skip


def _y_axis(chart: Chart, low: float, high: float, down: Place) -> Iterator[Html]:
    for value, label in _y_ticks(chart, low, high):
        y = _n(down(value))
        style = "zero" if value == 0.0 else "grid"
        yield tag("line", x1=_n(LEFT), x2=_n(WIDTH - RIGHT), y1=y, y2=y, class_=style)
        yield tag("text", label, x=_n(LEFT - 6), y=y, dy=".32em", class_="y")


def _y_ticks(chart: Chart, low: float, high: float) -> Iterator[tuple[float, str]]:
    if chart.log:
        yield from _decades(chart.unit, low, high)
        return
    factor, label = _scale(max(abs(low), abs(high)), chart.unit)
    step = _nice((high - low) / factor / MOST_Y)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for i in range(math.ceil(low / factor / step - 1e-9), math.floor(high / factor / step + 1e-9) + 1):
        value = i * step
        sign = "+" if chart.signed and i > 0 else ""
        yield value * factor, f"{sign}{value:,.{digits}f}{label}".replace("-", MINUS) if i else f"0{label}"


def _decades(unit: str, low: float, high: float) -> Iterator[tuple[float, str]]:
    """Yield the decades, and where there are few also 2 and 5 times them, each in the unit that suits it."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    between = (1.0, 2.0, 5.0) if last - first <= 2 else (1.0,)
    every = max(1, math.ceil((last - first) / (MOST_Y + 1)))
    for exponent in range(first, last + 1, every):
        for digit in between:
            value = digit * 10.0**exponent
            if low <= value <= high:
                factor, label = _scale(value, unit)
                yield value, f"{value / factor:g}{label}"


def time_ticks(from_s: float, until_s: float, most: int) -> Iterator[tuple[float, str]]:
    """Yield round moments between two, at most so many, and how they are written."""
    step_s = next((s for s in STEPS_S if (until_s - from_s) / s <= most), STEPS_S[-1])
    for i in range(math.ceil(from_s / step_s), int(until_s / step_s) + 1):
        yield i * step_s, format_duration(i * step_s) if i else "0"


def _x_axis(chart: Chart, across: Place) -> Iterator[Html]:
    y = _n(HEIGHT - BOTTOM)
    for t_s, label in time_ticks(chart.from_s, chart.until_s, MOST_X):
        x = across(t_s)
        yield tag("line", x1=_n(x), x2=_n(x), y1=y, y2=_n(HEIGHT - BOTTOM + 4), class_="tick")
        side = "end" if x > WIDTH - RIGHT - 14 else None
        yield tag("text", label, x=_n(x), y=_n(HEIGHT - 6), class_=side)


def _scale(magnitude: float, unit: str) -> tuple[float, str]:
    """Return the factor and label of a unit; short for rates, as an axis is narrow."""
    factor, label = scale(magnitude, unit)
    return factor, label.replace(" operations/s", "/s").replace(" count", "")


def _nice(step: float) -> float:
    """Return the least of 1, 2 and 5 times a power of ten that is not below a step."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * digit for digit in (1.0, 2.0, 5.0, 10.0) if power * digit >= step * (1 - 1e-9))


def _n(value: float) -> str:
    """Write a coordinate: a tenth of a unit is finer than print."""
    return f"{value:.1f}".removesuffix(".0")


def legend(chart: Chart) -> Html:
    """Return the legend of a chart."""
    named = [(trace.style, trace.name, trace.words) for trace in chart.traces if trace.name]
    named += [(f"shade {style}", WORDS.get(style, style), "") for style in dict.fromkeys(s.style for s in chart.shades)]
    entries = (
        tag("li", tag("span", class_=f"key {style}"), name, join([" ", tag("b", words)]) if words else "")
        for style, name, words in named
    )
    return tag("ul", entries, class_="legend")
