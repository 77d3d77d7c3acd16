"""The timeline: one lane per engine with its lives, faults and incidents."""

from collections.abc import Iterator, Sequence

from soakd.report.curves.values import Curves
from soakd.report.html.markup import Html, tag
from soakd.report.html.rendering import words
from soakd.report.html.svg import time_ticks
from soakd.units import format_duration
from soakd.verdict.types import Incident

WIDTH, LANE, LEFT, RIGHT = 1130.0, 26.0, 150.0, 14.0
MOST_MARKS = 400
LONGEST_NAME = 20
LONG_TEXTS = ("traceback", "stderr")
PHASES = {"baseline": "base", "load": "load", "drain": "drain", "reload": "reload", "close": "close"}
"""Phase -> its label on the timeline."""


def lanes(curves: Curves, incidents: Sequence[Incident], controls: Sequence[str]) -> Html:
    """Draw the timeline; a control has a lane only if it has an incident."""
    with_incidents = {incident.engine for incident in incidents}
    names = [name for name in curves.engines if name not in controls or name in with_incidents]
    height = LANE * (len(names) + 2) + 26
    parts = [*_phases(curves), *_host(curves, incidents)]
    for i, name in enumerate(names):
        parts += _lane(curves, incidents, name, LANE * (i + 2))
    parts += _axis(curves, height)
    description = f"{len(incidents)} incidents and {len(curves.faults)} faults over {format_duration(curves.until_s)}"
    drawn = tag(
        "svg", tag("title", description), parts, viewBox=f"0 0 {WIDTH:g} {height:g}", class_="chart lanes", role="img"
    )
    keys = (("life", "process alive"), ("fault", "fault on purpose"), ("mark bad", "incident"))
    legend = tag("ul", (tag("li", tag("span", class_=f"key {style}"), words) for style, words in keys), class_="legend")
    return tag("div", tag("div", drawn, class_="scroll", tabindex="0", role="region"), legend)


def _x(curves: Curves, t_s: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * min(1.0, max(0.0, t_s / max(curves.until_s, 1e-9)))


def _phases(curves: Curves) -> Iterator[Html]:
    """Draw the phases of the first engine; those of others may end at other times where operations are counted."""
    yield _name("phases", 0.0)
    for phase in next(iter(curves.phases.values()), ()):
        left, right = _x(curves, phase.from_s), _x(curves, phase.until_s)
        style = "phase load" if phase.name == "load" else "phase"
        yield _bar(left, right, 0.0, style, f"{phase.name}, {format_duration(phase.until_s - phase.from_s)}")
        if right - left > 8 * len(phase.name):
            word = PHASES.get(phase.name, phase.name)
            yield tag("text", word, x=f"{(left + right) / 2:.1f}", y=LANE / 2, dy=".35em")


def _host(curves: Curves, incidents: Sequence[Incident]) -> Iterator[Html]:
    yield _name("run and host", LANE)
    yield from _marks(curves, [incident for incident in incidents if not incident.engine], LANE)


def _lane(curves: Curves, incidents: Sequence[Incident], name: str, top: float) -> Iterator[Html]:
    own = [incident for incident in incidents if incident.engine == name]
    yield _name(name, top)
    for life in curves.lives.get(name, ()):
        words = f"life of {format_duration(max(0.0, life.until_s - life.from_s))}, {life.name}"
        yield _bar(_x(curves, life.from_s), _x(curves, life.until_s), top, "life", words)
    for fault in curves.faults:
        if fault.target == name:
            words = f"{fault.name}, recovered after {format_duration(max(0.0, fault.until_s - fault.from_s))}"
            yield _bar(_x(curves, fault.from_s), _x(curves, fault.until_s), top, "fault", words)
    yield from _marks(curves, [i for i in own if i.what not in ("fault_begin", "fault_end")], top)


def _marks(curves: Curves, incidents: Sequence[Incident], top: float) -> Iterator[Html]:
    for incident in incidents[:MOST_MARKS]:
        if (at_s := after_s(incident, curves)) is not None:
            x = _x(curves, at_s)
            title = tag("title", f"{format_duration(max(0.0, at_s))}: {words(incident.what)}")
            yield tag(
                "circle", title, cx=f"{x:.1f}", cy=f"{top + LANE / 2:g}", r="4.5", class_="mark bad",
            )  # fmt: skip


def _bar(left: float, right: float, top: float, style: str, words: str) -> Html:
    return tag(
        "rect", tag("title", words), x=f"{left:.1f}", y=f"{top + 5:g}", width=f"{max(right - left, 2.0):.1f}",
        height=f"{LANE - 10:g}", rx="2", class_=style,
    )  # fmt: skip


def _name(name: str, top: float) -> Html:
    shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return tag("text", shown, x="0", y=f"{top + LANE / 2:g}", dy=".35em", class_="lane")


def _axis(curves: Curves, height: float) -> Iterator[Html]:
    for t_s, label in time_ticks(0.0, curves.until_s, 12):
        x = _x(curves, t_s)
        yield tag("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1="2", y2=f"{height - 22:g}", class_="grid")
        yield tag("text", label, x=f"{x:.1f}", y=f"{height - 6:g}", class_="end" if x > WIDTH - 40 else None)


def after_s(incident: Incident, curves: Curves) -> float | None:
    """Return the seconds from the run's origin to an incident; None where either is not known."""
    if curves.start_wall_s is None or not incident.at_wall_s:
        return None
    return incident.at_wall_s - curves.start_wall_s


def long_texts(incident: Incident) -> Iterator[tuple[str, str]]:
    """Yield the long texts of an incident, each by its name."""
    for name in LONG_TEXTS:
        value = incident.facts.get(name)
        text = "\n".join(map(str, value)) if isinstance(value, list) else str(value or "")
        if text:
            yield name, text
