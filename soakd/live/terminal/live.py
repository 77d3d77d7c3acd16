"""The live table of a run on a terminal, one row per engine, fitted to the terminal's width."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from soakd.live.status import EngineStatus, RunStatus, ServerStatus, printable
from soakd.live.terminal.console import PlainConsole
from soakd.units import format_bytes, format_duration, format_latency
from soakd.verdict.wording import STYLES, control_word, leak_check, value_words
from soakd.wire.spec import LOADED_PHASES

LEAST_BETWEEN_S = 0.5
UNKNOWN = "-"
OFF_TERMINAL = 140
"""Width in cells if it is unknown."""
SHORT_STATES = {"INCONCLUSIVE": "INCONC", "INVALID": "INVAL", "INCOMPLETE": UNKNOWN}


class LiveDisplay:
    """Shows a live run; a context manager. It shows nothing if it is not enabled, or there is no terminal."""

    def __init__(self, *, enabled: bool = True, screen: bool = False, console: Console | None = None) -> None:
        """Prepare the display; with `screen` it takes the whole terminal, and restores it at the end."""
        self._console = console or PlainConsole()
        self._enabled = enabled and self._console.is_terminal and not self._console.is_dumb_terminal
        self._live = Live(console=self._console, auto_refresh=False, screen=screen and self._enabled)
        self._shown_s: float | None = None

    @property
    def shows(self) -> bool:
        """Whether there is a terminal to show it on."""
        return self._enabled

    def __enter__(self) -> Self:
        if self._enabled:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._enabled:
            self._guarded(self._live.stop)

    def update(self, status: RunStatus, now_s: float) -> None:
        """Show the current state, at most twice a second; `now_s` is CLOCK_MONOTONIC seconds."""
        if not self._enabled or (self._shown_s is not None and now_s - self._shown_s < LEAST_BETWEEN_S):
            return
        self._shown_s = now_s
        view = render(status, now_s, self._console.width)
        self._guarded(lambda: self._live.update(view, refresh=True))

    def _guarded(self, write: Callable[[], None]) -> None:
        """End the display, not the run, if the terminal has gone away."""
        try:
            write()
        except OSError:
            self._enabled = False


def print_status(status: RunStatus, now_s: float, below: str | None = None) -> None:
    """Print the state of a run once, and a line below; off a terminal, in the width of a wide one."""
    console = PlainConsole()
    if not console.is_terminal:
        console.width = max(console.width, OFF_TERMINAL)
    console.print(render(status, now_s, console.width), *([Text(below)] if below else []), sep="\n")


def render(status: RunStatus, now_s: float, width: int) -> RenderableType:
    """Draw the header, one row per engine, and messages below; `width` in terminal cells."""
    layout = _layout(width, max((len(name) for name in status.engines), default=0))
    table = Table(box=None, pad_edge=False, padding=(0, layout.gap, 0, 0), header_style="bold", show_edge=False)
    for name, cells in layout.widths.items():
        side: JustifyMethod = "left" if name in ("engine", "growth so far", "so far") else "right"
        head = HEADS.get(name, name) if layout.narrow else name
        table.add_column(head, width=cells, no_wrap=True, overflow="ellipsis", justify=side)
    for engine in status.engines.values():
        cell = _cells(engine, narrow=layout.narrow)
        table.add_row(*(cell[name] for name in layout.widths), style="" if engine.role in DECIDING else "dim")
        if engine.server is not None:
            cell = _server_cells(engine, engine.server, narrow=layout.narrow)
            table.add_row(*(cell.get(name, "") for name in layout.widths), style="dim")
    return Group(_header(status, now_s, width), Text(), table, *_below(status))


DECIDING = ("subject", "twin", "rival")
HEADS = {"errors": "err"}
WIDE = {
    "engine": 28, "rate": 15, "errors": 7, "p99": 7, "RSS": 7, "live": 7, "reachable": 9, "growth so far": 28,
    "so far": 12,
}  # fmt: skip
NARROW = {"engine": 12, "rate": 9, "errors": 4, "p99": 6, "RSS": 6, "live": 6, "growth so far": 24, "so far": 6}
SERVER_CHECKS = ("growth.server_live_bytes", "growth.server_rss_anon_bytes")
DROPPED_FIRST = ("live", "errors", "RSS", "p99", "rate", "growth so far")


@dataclass(frozen=True, slots=True)
class _Layout:
    widths: Mapping[str, int]
    """Column -> cells, in order."""
    gap: int
    narrow: bool


def _layout(width: int, longest_name: int) -> _Layout:
    """Choose the columns that fit: all, then without reachable bytes, then short ones, then fewer."""
    wide = WIDE | {"engine": max(12, min(WIDE["engine"], longest_name))}
    for dropped in ((), ("reachable",)):
        widths = {name: cells for name, cells in wide.items() if name not in dropped}
        if sum(widths.values()) + 2 * (len(widths) - 1) <= width:
            return _Layout(widths, 2, narrow=False)
    widths = dict(NARROW)
    for name in DROPPED_FIRST:
        if sum(widths.values()) + len(widths) - 1 <= width:
            break
        del widths[name]
    spare = width - sum(widths.values()) - len(widths) + 1
    widths["engine"] += max(0, min(spare, longest_name - widths["engine"]))
    return _Layout(widths, 1, narrow=True)


def _cells(engine: EngineStatus, *, narrow: bool) -> dict[str, Text | str]:
    latest = engine.latest if engine.up else {}
    check = leak_check(engine.checks.values())
    p99_s = engine.latency.get("service_p99_s") if engine.up else None
    return {
        "engine": Text(engine.name),
        "rate": _rate(engine, narrow=narrow),
        "errors": _errors(engine.errors, narrow=narrow),
        "p99": UNKNOWN if p99_s is None else _fitting(format_latency(p99_s), narrow),
        "RSS": _bytes(latest.get("rss_bytes"), narrow),
        "live": _bytes(latest.get("live_bytes"), narrow),
        "reachable": _bytes(latest.get("reachable_bytes"), narrow),
        "growth so far": (value_words(check) if check else "") or UNKNOWN,
        "so far": _state(engine, narrow=narrow),
    }


def _server_cells(engine: EngineStatus, server: ServerStatus, *, narrow: bool) -> dict[str, Text | str]:
    """Return the row of an engine's server: its memory, and its state if it does not answer."""
    latest = server.latest if server.up else {}
    check = next((engine.checks[name] for name in SERVER_CHECKS if name in engine.checks), None)
    return {
        "engine": Text(f"  {server.kind}"),
        "rate": "" if server.up else Text("starting" if server.up is None else "down", style="bold red"),
        "RSS": _bytes(latest.get("rss_bytes"), narrow),
        "live": _bytes(latest.get("live_bytes"), narrow),
        "growth so far": value_words(check) if check else "",
    }


def _rate(engine: EngineStatus, *, narrow: bool) -> Text | str:
    """Format achieved and planned operations per second; without operations, the state instead."""
    if not engine.up:
        broken = engine.ended_by not in (None, "completed")
        return Text(engine.ended_by or "starting", style="bold red" if broken else "dim")
    if engine.phase not in LOADED_PHASES:
        return Text(engine.phase or "ready", style="dim")
    number = _short_number if narrow else "{:,.0f}".format
    achieved = UNKNOWN if engine.rate_per_s is None else number(engine.rate_per_s)
    return f"{achieved}/{number(engine.target_per_s)}"


def _errors(errors: int | None, *, narrow: bool) -> Text | str:
    if errors is None:
        return UNKNOWN
    text = _short_number(errors) if narrow else f"{errors:,}"
    return Text(text, style="bold red") if errors else text


def _state(engine: EngineStatus, *, narrow: bool) -> Text:
    check = leak_check(engine.checks.values())
    state: str | None = engine.state_so_far
    if engine.role == "control":
        state = control_word(engine.kind, check.answer if check else None)
    text = SHORT_STATES.get(state or UNKNOWN, state or UNKNOWN) if narrow else state or UNKNOWN
    return Text(text, style=STYLES.get(state or "", "dim"))


def _header(status: RunStatus, now_s: float, width: int) -> RenderableType:
    """Draw one line: run, phase, progress, a bar, time left, the verdict so far."""
    elapsed_s, remaining_s = status.elapsed_s(now_s), status.remaining_s(now_s)
    name = Text(status.plan.config.run.name, style="bold")
    name.truncate(max(8, width // 4), overflow="ellipsis")
    if elapsed_s is None or remaining_s is None:
        return Text.assemble(name, "  starting the engines")
    planned_s = status.plan.duration_s
    state = status.state_so_far or UNKNOWN
    head = Text.assemble(name, f"  {status.phase or 'starting'}  {_clock(elapsed_s)} of {format_duration(planned_s)}")
    tail = Text.assemble(f"{_clock(remaining_s)} left  ", (state, STYLES.get(state, "dim")), " so far")
    spare = width - len(head) - len(tail) - 4
    bar = ProgressBar(
        total=planned_s, completed=min(elapsed_s, planned_s), width=max(4, min(40, width // 7, spare)),
        complete_style="cyan", finished_style="cyan",
    )  # fmt: skip
    line = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for _ in range(3):
        line.add_column(no_wrap=True)
    line.add_row(head, bar, tail)
    return line


def _below(status: RunStatus) -> list[Text]:
    lines = []
    if status.incidents:
        told = ", ".join(f"{count} {what}" for what, count in status.incidents.most_common(6))
        lines.append(Text(f"incidents: {told}", style="yellow"))
    if status.summary:
        lines.append(Text(printable(status.summary)))
    if status.served_at:
        lines.append(Text(f"page: {status.served_at}", style="dim"))
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return [Text(), *lines] if lines else []


def _clock(seconds: float) -> str:
    """Format a running duration: "2min 5s", "1h 2min"."""
    return format_duration(float(int(seconds)))


def _bytes(count: float | None, narrow: bool) -> str:
    return UNKNOWN if count is None else _fitting(format_bytes(count), narrow)


def _fitting(words: str, narrow: bool) -> str:
    """Shorten the number of "41.2 MB" to two digits if its column has six cells: "41 MB", "1.2 MB"."""
    number, unit = words.split()
    if not narrow or "." not in number:
        return words
    return f"{float(number):.{1 if abs(float(number)) < 9.95 else 0}f} {unit}"


def _short_number(number: float) -> str:
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor * 0.9995:
            scaled = number / factor
            return f"{scaled:.0f}{unit}" if scaled >= 9.995 else f"{scaled:.3g}{unit}"
    return f"{number:.0f}" if number >= 10 or number == round(number) else f"{number:.1f}"
