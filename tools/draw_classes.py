"""Draw the classes of growth: a made-up day of each, judged by soakd itself, as small SVG files.

python -m tools.draw_classes docs/pictures

The text in a picture is the verdict's own; a scene whose class is not what it is drawn for is an error.
"""

import dataclasses
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from soakd.judge.growth.method import explain_growth
from soakd.judge.story.assemble import assemble
from soakd.judge.story.rundata import EngineData, Series
from tests.recorded import Level, Story, judged, made_up, per_hour, plan_of

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 310, 50, 150, 76, 34
COLOURS = {
    "rss_anon_bytes": "#bbbbbb",
    "live_bytes": "#f0b040",
    "reachable_bytes": "#0072b2",
    "reachable_python_bytes": "#56c4ff",
    "reachable_native_bytes": "#009e73",
    "native_free_bytes": "#009e73",
    "counter.entries": "#cc79a7",
}
NAMES = {
    "rss_anon_bytes": "anonymous RSS",
    "live_bytes": "live",
    "reachable_bytes": "reachable",
    "reachable_python_bytes": "reachable, Python",
    "reachable_native_bytes": "reachable, native",
    "native_free_bytes": "free lists",
    "counter.entries": "entries x 500 B",
}
STROKES = (9.0, 6.0, 3.5, 1.6, 1.6)
"""Signals lie on each other: each is thinner than the one below it."""
PARTS = ("reachable_python_bytes", "reachable_native_bytes")
DAY = {"duration": "24h", "every": "2min", "limits": 'growth_rate = "1MB/h"'}
HOUR_S = 3600.0
THIN = 3
"""Every third sample is drawn; every sample is judged."""


def sawtooth(size: float, period_h: float) -> Level:
    """Grow by `size` bytes and fall back, every `period_h` hours."""
    return lambda t_s, _: size * (t_s / HOUR_S / period_h % 1.0)


def warm_up(size: float, constant_h: float) -> Level:
    """Grow by `size` bytes, ever more slowly."""
    return lambda t_s, _: size * (1.0 - float(np.exp(-t_s / HOUR_S / constant_h)))


PHASES = {phase.name: phase for phase in plan_of(**DAY).engines[0].phases}
LOAD_ENDS_S, CLOSES_S = PHASES["load"].end_s, PHASES["close"].start_s
TEETH = sawtooth(6e6, 1.3)
SLACK = sawtooth(5e6, 7.0)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What an engine does, and which signal shows it."""

    expected: str
    story: Story
    judged: str = "reachable_bytes"
    also: Sequence[str] = ()
    scale: float = 1.0


SCENES = {
    "flat": Scene(expected="flat", story=Story(garbage=TEETH, resident=SLACK)),
    "warm-up": Scene(expected="warm_up", story=Story(python=warm_up(9e6, 1.2), garbage=TEETH, resident=SLACK)),
    "python-leak": Scene(
        expected="python_leak", also=PARTS, story=Story(python=per_hour(3e6), garbage=TEETH, resident=SLACK)
    ),
    "native-leak": Scene(
        expected="native_leak", also=PARTS, story=Story(native=per_hour(3e6), garbage=TEETH, resident=SLACK)
    ),
    "collector-backlog": Scene(
        expected="collector_backlog", story=Story(garbage=per_hour(2.5e6), resident=SLACK), judged="live_bytes"
    ),
    "fragmentation": Scene(
        expected="fragmentation", judged="rss_anon_bytes", also=["native_free_bytes"],
        story=Story(resident=per_hour(3e6), garbage=TEETH, more={"native_free_bytes": per_hour(3e6)}),
    ),
    "private-allocator": Scene(
        expected="private_allocator", judged="rss_anon_bytes", also=["native_free_bytes"],
        story=Story(resident=per_hour(3e6), garbage=TEETH, more={"native_free_bytes": per_hour(0)}),
    ),
    "backlog": Scene(
        expected="backlog",
        story=Story(python=lambda t_s, _: 3e6 / HOUR_S * t_s if t_s < LOAD_ENDS_S else 0.0, garbage=TEETH),
    ),
    "cache-filling": Scene(
        expected="cache_filling", also=["counter.entries"], scale=500.0,
        story=Story(
            python=lambda t_s, _: 2e6 / HOUR_S * t_s if t_s < CLOSES_S else 0.0,
            garbage=TEETH,
            more={"counter.entries": per_hour(4000)},
            declared={"capacity_entries": 200_000.0, "bytes_per_entry": 500.0},
        ),
    ),
}  # fmt: skip


def main(folder: Path) -> int:
    """Draw every scene; returns the number of those that were judged otherwise than drawn for."""
    wrong = 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        engine, data = play(scene)
        if engine["class"] != scene.expected:
            wrong += 1
            print(f"{name}: class {engine['class']}, not {scene.expected}: {engine['reason']}", file=sys.stderr)
            continue
        path = folder / f"{name}.svg"
        path.write_text("\n".join(draw(scene, engine, data)) + "\n", encoding="utf-8")
        print(f"{path}: {engine['verdict']}, {engine['reason']}")
    return wrong


def play(scene: Scene) -> tuple[dict[str, Any], EngineData]:
    """Make up the day, and judge it."""
    plan = plan_of(**DAY)
    story = dataclasses.replace(scene.story, noise_bytes=40e3)
    verdict = judged(plan, mine=story)
    run = assemble(plan, made_up(plan, {"mine": story}))
    return verdict["engines"][0], next(data for data in run.engines if data.name == "mine")


def draw(scene: Scene, engine: dict[str, Any], data: EngineData) -> Iterator[str]:
    """Write one picture: the signals, and the long-run line of the one that was judged."""
    end_s = next(phase.end_s for phase in data.plan.phases if phase.name == "drain")
    load = data.plan.load
    lines = [
        (name, data.signal(name).between(load.start_s, end_s))
        for name in ("rss_anon_bytes", "live_bytes", "reachable_bytes", *scene.also)
    ]
    megabytes = [(name, series, _megabytes(name, series, scene)) for name, series in lines]
    start_s = float(min(series.t_s[0] for _, series in lines))
    hours = float(max(series.t_s[-1] for _, series in lines) - start_s) / HOUR_S
    top = max(20.0, 1.1 * max(float(np.max(y)) for *_, y in megabytes))
    bottom = min(-2.0, 1.1 * min(float(np.min(y)) for *_, y in megabytes))

    def at(x: float, y: float) -> str:
        across = LEFT + (WIDTH - LEFT - RIGHT) * x / hours
        return f"{across:.1f},{HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - bottom) / (top - bottom):.1f}"

    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield _text(LEFT, 20, f"{engine['class']}: {engine['verdict']}", 15)
    for i, line in enumerate(textwrap.wrap(engine["reason"], 112)[:3]):
        yield _text(LEFT, 38 + 14 * i, line, 11)
    for hour in range(0, int(hours) + 1, 4):
        across, down = at(hour, bottom).split(",")
        yield _text(float(across) - 4, float(down) + 16, f"{hour}", 11)
    yield _text(LEFT + 120, HEIGHT - 4, "hours since the load began; the drain phase is at the end", 11)
    for level in np.arange(0, top, _step(top)):
        (left, down), (right, _) = at(0, level).split(","), at(hours, level).split(",")
        yield f'<line x1="{left}" y1="{down}" x2="{right}" y2="{down}" stroke="#dddddd"/>'
        yield _text(12, float(down) + 4, f"{level:+.0f} MB" if level else "start", 11)
    for row, (name, series, y) in enumerate(megabytes):
        points = " ".join(at((t - start_s) / HOUR_S, v) for t, v in list(zip(series.t_s, y, strict=True))[::THIN])
        yield f'<polyline points="{points}" fill="none" stroke="{COLOURS[name]}" stroke-width="{STROKES[row]}"/>'
        yield _legend(row, NAMES[name], COLOURS[name], STROKES[row])
        if name == scene.judged:
            seen = series.t_s < load.end_s
            for curve in explain_growth((series.t_s[seen] - start_s) / HOUR_S, y[seen], limit=1.0):
                (x0, y0), (x1, y1) = ((curve.x[i], max(bottom, curve.long_run[i])) for i in (0, -1))
                ends = f"{at(x0, y0)} {at(x1, y1)}"
                yield f'<polyline points="{ends}" stroke="#000000" stroke-width="1.5" stroke-dasharray="6 4"/>'
    yield _legend(len(megabytes), f"long-run line of {NAMES[scene.judged]}", "#000000", 1.5, "6 4")
    yield "</svg>"


def _megabytes(name: str, series: Series, scene: Scene) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Change since the start of the load phase."""
    scale = scene.scale if name == "counter.entries" else 1.0
    return np.asarray((series.y - np.median(series.y[:5])) * scale / 1e6)


def _step(top: float) -> float:
    return next(step for step in (5.0, 10.0, 20.0, 50.0, 100.0) if top / step <= 6 or step == 100.0)


def _legend(row: int, text: str, colour: str, stroke: float, dashes: str = "") -> str:
    x, y = WIDTH - RIGHT + 10, TOP + 14 + 20 * row
    mark = f'<line x1="{x}" y1="{y}" x2="{x + 18}" y2="{y}" stroke="{colour}" stroke-width="{stroke}"'
    words = textwrap.wrap(text, 17)
    return "\n".join(
        [f'{mark} stroke-dasharray="{dashes}"/>', *(_text(x + 24, y + 4 + 13 * i, w, 11) for i, w in enumerate(words))]
    )


def _text(x: float, y: float, text: str, size: int) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="#222222">{escape(text)}</text>'


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
