"""The charts of an engine. A chart without readings says so in its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from soakd.report.curves.values import Band, CurvePiece, Curves, EngineCurves, Fit
from soakd.report.html import svg
from soakd.report.html.markup import Html, join, state_badge, tag
from soakd.report.html.svg import Chart, Shade, Trace
from soakd.units import format_duration
from soakd.verdict.check import Check
from soakd.verdict.resolution import HOST_SIGNALS
from soakd.verdict.types import EngineVerdict
from soakd.verdict.wording import LEAK_CHECKS, leak_check, limit_words, quantity_words, range_words, value_words

LEAK = ("reachable_bytes", "live_bytes")
NAMES = {
    "reachable_bytes": "reachable", "live_bytes": "live", "resident_bytes": "resident", "rss_bytes": "RSS",
    "rss_anon_bytes": "anonymous RSS",
    "server.rss_bytes": "RSS", "server.rss_anon_bytes": "anonymous RSS", "server.live_bytes": "live",
    "fds": "file descriptors", "threads": "threads", "tasks": "tasks", "operations_per_s": "done",
    "errors_per_s": "errors", "dropped_per_s": "dropped", "cpu_ratio": "engine's process",
    "server.cpu_ratio": "server", "counter.entries": "entries",
}  # fmt: skip
TITLES = {
    "reachable_bytes": "Reachable memory: what a full collection would leave",
    "live_bytes": "Live memory: what is allocated",
    "resident_bytes": "Resident memory, anonymous, swapped and shared: what the host pays",
    "rss_anon_bytes": "Anonymous resident memory: what the host pays",
}
MOST_STEEP = 25.0
"""A limit steeper than so many times the readings leaves the chart, which would otherwise show nothing else."""
OTHER_PHASES = ("baseline", "drain", "reload", "close")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One engine with its verdict and its curves."""

    entry: EngineVerdict
    """Its part of the verdict file."""
    curves: EngineCurves
    shades: Sequence[Shade]
    load: tuple[float, float]
    until_s: float

    @property
    def checks(self) -> Mapping[str, Check]:
        """Its checks by their ids."""
        return {check.id: check for check in self.entry.checks}

    def band(self, name: str) -> Band | None:
        """Return the recorded band of a signal."""
        return self.curves.bands.get(name)


def subject(entry: EngineVerdict, curves: Curves) -> Subject | None:
    """Return an engine with its curves; None where nothing was recorded of it."""
    name = entry.name
    own = curves.engines.get(name)
    if own is None:
        return None
    phases = curves.phases.get(name, ())
    load = next(((p.from_s, p.until_s) for p in phases if p.name == "load"), (0.0, curves.until_s))
    shades = [Shade(p.from_s, p.until_s, "idle", p.name) for p in phases if p.name in OTHER_PHASES]
    shades = [s for s in shades if s.title != "reload"]
    lives = curves.lives.get(name, ())
    down = [
        Shade(before.until_s, after.from_s, "down", f"{before.name}, then down for {_seconds(before, after)}")
        for before, after in pairwise(lives)
    ]
    faults = [Shade(f.from_s, f.until_s, "fault" if name in f.touches else "elsewhere", f.name) for f in curves.faults]
    return Subject(entry=entry, curves=own, shades=[*shades, *faults, *down], load=load, until_s=curves.until_s)


def judged_charts(subject: Subject) -> Iterator[Html]:
    """Draw the deciding signals of growth, each with its fitted curve, interval and limit."""
    resident = next((signal for signal in HOST_SIGNALS if _growth_check(subject, signal)), HOST_SIGNALS[-1])
    for signal in (*LEAK, resident):
        check = _growth_check(subject, signal)
        if check is not None and signal in subject.curves.levels:
            note = join([state_badge(check.verdict), " ", growth_words(check)])
            yield _judged(subject, signal, check, TITLES[signal], note)


def control_chart(subject: Subject, note: Html) -> Html | None:
    """Draw the leak signal of a control; None where it was not recorded."""
    for signal in LEAK:
        check = _growth_check(subject, signal)
        if check is not None and signal in subject.curves.levels:
            return _judged(subject, signal, check, subject.entry.name, note)
    return None


def other_charts(subject: Subject) -> Iterator[Html]:
    """Draw the other recorded signals."""
    checks = subject.checks
    limit_p95, limit_cpu = (checks[n].limit if n in checks else None for n in ("latency.p95", "cpu.ratio"))
    yield _levels(subject, "Memory of the process", ("rss_bytes", "rss_anon_bytes", "live_bytes", "reachable_bytes"))
    yield _latency(subject, limit_p95)
    yield _throughput(subject)
    yield _levels(
        subject, "Processor", ("cpu_ratio", "server.cpu_ratio"), unit="cores",
        lines=[("limit", limit_cpu)] if limit_cpu and _is_near(subject, "cpu_ratio", limit_cpu) else [],
    )  # fmt: skip
    if subject.band("server.rss_bytes") or subject.band("server.live_bytes"):
        kind = next((server.server for server in subject.entry.servers), "server")
        yield _levels(
            subject,
            f"Memory of the server ({kind})",
            ("server.rss_bytes", "server.rss_anon_bytes", "server.live_bytes"),
        )
    if subject.band("counter.entries"):
        caches = [check.cache for check in checks.values() if check.cache]
        capacity = next((cache.capacity_entries for cache in caches if cache.capacity_entries is not None), None)
        lines = (
            [("capacity, declared", capacity)] if capacity and _is_near(subject, "counter.entries", capacity) else []
        )
        yield _levels(subject, "Entries of the cache", ("counter.entries",), unit="count", lines=lines)
    yield _levels(subject, "File descriptors, threads, tasks", ("fds", "threads", "tasks"), unit="count")


def figure(title: str, drawn: Html, note: "str | Html" = "") -> Html:
    """Return a chart with its title."""
    return tag("figure", tag("figcaption", tag("strong", title), tag("span", note) if note else ""), drawn)


def missing(title: str, why: str) -> Html:
    """Return the reason why there is no chart, in its place."""
    return tag("figure", tag("figcaption", tag("strong", title)), tag("p", why, class_="missing"))


def growth_words(check: Check) -> str:
    """Write a growth check as one line: "104 B/op [102, 106], limit 40 B/op; 42 B/op detectable (95 %)"."""
    words = value_words(check)
    if not words:
        return check.reason or "not measured"
    least = check.detectable_95
    detectable = f"; {quantity_words(least, check.unit)} detectable (95 %)" if least is not None else ""
    return f"{words}, limit {limit_words(check)}{detectable}"


def leak_words(engine: EngineVerdict) -> str:
    """Write the leak check of an engine as one line."""
    found = leak_check(engine.checks)
    return growth_words(found) if found else f"no check of {', '.join(LEAK_CHECKS)}"


def _growth_check(subject: Subject, signal: str) -> Check | None:
    names = (f"growth.{signal}", f"growth.{signal}.per_operation")
    return next((subject.checks[name] for name in names if name in subject.checks), None)


def _judged(subject: Subject, signal: str, check: Check, title: str, note: Html) -> Html:
    """Draw the change of a signal since the start of the load, and the lines of the verdict."""
    band, level, fits = subject.band(signal), subject.curves.levels[signal], subject.curves.fits.get(signal, ())
    if band is None:
        return missing(title, "nothing was recorded")
    rest = [subject.curves.adjusted[signal]] if signal in subject.curves.adjusted else []
    seen = [_change(piece, level, subject.load) for piece in band.pieces]
    height = max((max(p.high) for p in seen if p.high), default=0.0) - min(
        (min(p.low) for p in seen if p.low), default=0
    )
    steep = any(fit.limit[-1] - fit.limit[0] > MOST_STEEP * max(height, 1.0) for fit in fits)
    traces = [
        Trace(name="interval of the rate", style="fan", pieces=[_between(fit, level) for fit in fits], counts=False),
        Trace(name=f"{NAMES[signal]}, change since the load began", style="c1 wide", pieces=seen),
        Trace(name="without its cache entries", style="c2", pieces=[_change(p, level, subject.load) for p in rest]),
        Trace(name="fitted, with transients", style="fit", pieces=[_lined(f.t_s, f.fitted, level) for f in fits]),
        Trace(name="long-run rate", style="long", pieces=[_lined(f.t_s, f.long_run, level) for f in fits]),
        Trace(
            name="limit", style="limit", pieces=[_lined(f.t_s, f.limit, level) for f in fits],
            words=limit_words(check),
        ),
    ]  # fmt: skip
    if steep:
        traces[-1] = Trace(
            name="limit far above this chart",
            style="limit",
            pieces=[CurvePiece((), (), ())],
            words=limit_words(check),
        )

    chart = Chart(
        unit="bytes", from_s=subject.load[0], until_s=subject.load[1], zero=False, signed=True,
        traces=[trace for trace in traces if trace.pieces],
        shades=[shade for shade in subject.shades if shade.style != "idle"],
    )  # fmt: skip
    drawn = join([svg.draw(chart, f"{TITLES[signal]}: {growth_words(check)}"), svg.legend(chart)])
    return figure(title, drawn, note)


def _latency(subject: Subject, limit: float | None) -> Html:
    names = [name for name in ("p99", "p95", "p50") if subject.band(name)]
    title = "Service time"
    if not names:
        return missing(title, "no window in which the engine alone was at work")
    traces = [_trace(name, f"c{3 - i}", bands, "seconds") for i, name in enumerate(names)
              if (bands := subject.band(name))]  # fmt: skip
    if limit:
        traces.append(_level_line(subject, "limit of p95", limit, "seconds"))
    return _figure(subject, title, traces, "seconds", log=True)


def _throughput(subject: Subject) -> Html:
    unit, target = "operations/second", subject.entry.rate_per_second
    names = ["operations_per_s"] + [
        n for n in ("errors_per_s", "dropped_per_s") if (b := subject.band(n)) and b.high > 0
    ]
    styled = zip(names, ("c1", "bad", "c2"), strict=False)
    traces = [_trace(NAMES[name], style, band, unit) for name, style in styled if (band := subject.band(name))]
    if not traces:
        return missing("Throughput", "nothing was recorded")
    if target:
        traces.append(_level_line(subject, "target", float(target), unit, style="asked"))
    return _figure(subject, "Throughput", traces, unit)


def _levels(
    subject: Subject, title: str, names: Sequence[str], *, unit: str = "bytes",
    lines: Sequence[tuple[str, float]] = (),
) -> Html:  # fmt: skip
    bands = [(name, band) for name in names if (band := subject.band(name))]
    traces = [_trace(NAMES[name], f"c{i + 1}", band, unit) for i, (name, band) in enumerate(bands)]
    if not traces:
        return missing(title, "nothing was recorded")
    traces += [_level_line(subject, name, value, unit) for name, value in lines]
    return _figure(subject, title, traces, unit)


def _figure(subject: Subject, title: str, traces: Sequence[Trace], unit: str, *, log: bool = False) -> Html:
    chart = Chart(unit=unit, from_s=0.0, until_s=subject.until_s, traces=traces, shades=subject.shades, log=log)
    description = ", ".join(f"{trace.name} {trace.words}" for trace in traces)
    return figure(title, join([svg.draw(chart, f"{title}: {description}"), svg.legend(chart)]))


def _trace(name: str, style: str, band: Band, unit: str) -> Trace:
    words = range_words(band.low, band.high, unit).replace(" operations/s", "/s")
    return Trace(name=name, style=style, pieces=band.pieces, words=words)


def _level_line(subject: Subject, name: str, value: float, unit: str, *, style: str = "limit") -> Trace:
    words = quantity_words(value, unit).replace(" operations/s", "/s")
    return Trace(name=name, style=style, pieces=[svg.line((0.0, subject.until_s), (value, value))], words=words)


def _is_near(subject: Subject, signal: str, limit: float) -> bool:
    """Return whether a limit is near enough to the readings to be drawn."""
    band = subject.band(signal)
    return band is not None and limit <= MOST_STEEP * band.high


def _change(piece: CurvePiece, level: float, load: tuple[float, float]) -> CurvePiece:
    inside = [i for i, t_s in enumerate(piece.t_s) if load[0] <= t_s <= load[1]]
    return CurvePiece(
        [piece.t_s[i] for i in inside], [piece.low[i] - level for i in inside], [piece.high[i] - level for i in inside]
    )


def _lined(t_s: Sequence[float], y: Sequence[float], level: float) -> CurvePiece:
    return svg.line(t_s, [value - level for value in y])


def _between(fit: Fit, level: float) -> CurvePiece:
    return CurvePiece(fit.t_s, [value - level for value in fit.low], [value - level for value in fit.high])


def _seconds(before: Any, after: Any) -> str:
    return format_duration(max(0.0, after.from_s - before.until_s))
