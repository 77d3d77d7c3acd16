"""The daemon's log: one event per phase, incident and verdict change, and a line of progress now and then."""

import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from soakd.daemon import journald
from soakd.live.status import EngineStatus, RunStatus, ServerStatus, answer_so_far, printable
from soakd.plaintext import escaped_lines
from soakd.units import format_bytes, format_latency
from soakd.verdict.types import Verdict
from soakd.wire.masking import BY_ENGINE, is_secret_name, masked, tail
from soakd.wire.records import Incident, Phase, Record, ServerStart
from soakd.wire.spec import PhaseName

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
PHASES: tuple[str, ...] = get_args(PhaseName)
FORMATS = ("auto", "console", "json")

LONG_RUN_S = 7200.0
PROGRESS_EVERY_S = 3600.0
SHORT_RUN_LINES = 12

MOST_SIMILAR = 20
"""So many incidents of one kind and engine are logged at once; then one an hour, with a count of the others."""
AGAIN_AFTER_S = 3600.0
MOST_KINDS = 256
MORE_OF_INCIDENTS = ("server", "pid", "status", "recovery_s", "address", "fault", "recovered_s")
LONGEST_TEXT = 2000
LONGEST_TRACEBACK = 20_000
TRACEBACKS = ("exception", "stack")
"""Texts of several lines."""


def configure(level: str = "info", format: str = "auto") -> None:  # noqa: A002 - the option's own name
    """Set up the process's log on stderr.

    Args:
        level: debug, info, warning or error.
        format: console (for people), json (a line an event), or auto: console on a terminal, entries with fields where
            stderr is the systemd journal, json elsewhere.

    Raises:
        ValueError: a level or format of another name.
    """
    if level not in LEVELS or format not in FORMATS:
        raise ValueError(f"log level must be of {', '.join(LEVELS)} and format of {', '.join(FORMATS)}")
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            safe,
            *(_console() if console else _journal() if format == "auto" and journald.is_stderr() else _json()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # looked up late: a live table may stand before it
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=max(logging.WARNING, LEVELS[level]), force=True)


def safe(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide secrets and escape control characters in an event; a structlog processor."""
    return {key: _safe(value, key) for key, value in event.items()}


RUN_EVENTS = {"origin": "started", "resumed": "resumed", "left": "left", "end": "ended"}
"""Phase of the run as a whole -> its event; other phases of the run are not logged."""


class EventLog:
    """Turns records, verdicts and the passing of time into events. Bounded: it remembers kinds, not events."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("soakd")
        self._phases: set[str] = set()
        self._similar = _Similar()
        self._verdict: tuple[Any, ...] | None = None
        self._next_s: float | None = None

    def fold(self, records: Sequence[Record]) -> None:
        """Log the phases, incidents and servers in a committed batch."""
        for record in records:
            if isinstance(record, Incident):
                self._log_incident(record)
            elif isinstance(record, Phase):
                self._log_phase(record)
            elif isinstance(record, ServerStart):
                self._log_server(record)

    def verdict(self, verdict: Verdict) -> None:
        """Log a verdict, so far or final, if it differs from the one before."""
        engines = {engine.name: answer_so_far(engine.checks) for engine in verdict.engines}
        present = (verdict.verdict, engines)
        if present == self._verdict:
            return
        before, self._verdict = self._verdict, present
        judged = [answer_so_far(check for check in engine.checks if check.decides) for engine in verdict.engines]
        log = self._log.warning if {"FAIL", "INVALID"} & {present[0], *judged} else self._log.info
        log(
            "verdict", state=present[0], before=before[0] if before else None, summary=verdict.summary,
            engines=engines,
        )  # fmt: skip

    def serving(self, url: str, folder: Path) -> None:
        """Log where the page and the metrics are served, and where the run is written."""
        self._log.info("serving", page=url, metrics=f"{url}metrics", run_dir=str(folder))

    def reported(self, path: Path) -> None:
        """Log where the report of the run is."""
        self._log.info("report", path=str(path))

    def problem(self, what: str, detail: str) -> None:
        """Log something that went wrong inside soakd and does not end the run."""
        self._log.warning(what, detail=detail)

    def progress(self, status: RunStatus, now_s: float) -> None:
        """Log how far the run is, if that is due: hourly, or twelve times in a run of less than two hours.

        `now_s` is CLOCK_MONOTONIC seconds.
        """
        elapsed_s = status.elapsed_s(now_s)
        if elapsed_s is None:
            return
        planned_s = status.plan.duration_s
        every_s = PROGRESS_EVERY_S if planned_s >= LONG_RUN_S else planned_s / SHORT_RUN_LINES
        if self._next_s is None:
            self._next_s = every_s
        if elapsed_s < self._next_s:
            return
        self._next_s = every_s * (int(elapsed_s / every_s) + 1)
        self._log.info("progress", **_progress(status, now_s, elapsed_s))

    def _log_phase(self, record: Phase) -> None:
        """Log a phase when the first engine enters it; not for the engines and lives that follow."""
        name = str(record.name)
        if record.engine == "" and name in RUN_EVENTS:
            self._log_held_back()
            self._log.info(RUN_EVENTS[name], **_reason(record))
        elif name in PHASES and name not in self._phases:
            self._phases.add(name)
            self._log.info("phase", phase=name)

    def _log_incident(self, record: Incident) -> None:
        counted = self._similar.count(record.engine, record.what, record.at.mono_s)
        if counted is not None:
            told = dict(record.facts())
            more = {key: told[key] for key in MORE_OF_INCIDENTS if told.get(key) is not None}
            self._log.warning(
                "incident", what=record.what, engine=record.engine or None, segment=record.segment,
                detail=record.detail, **more, **counted,
            )  # fmt: skip

    def _log_server(self, record: ServerStart) -> None:
        """Log a server that answers, once in each of its lives."""
        counted = self._similar.count(record.engine, "server", record.at.mono_s)
        if counted is not None:
            named = {key: getattr(record, key) for key in ("server", "version", "pid", "address", "backend")}
            self._log.info("server", engine=record.engine, life=record.segment, **named, **counted)

    def _log_held_back(self) -> None:
        """Log at the end how many events were held back."""
        if held_back := self._similar.held_back:
            kinds = {f"{engine} {what}".strip(): count for (engine, what), count in held_back.most_common(MOST_SIMILAR)}
            self._log.warning("held_back", total=held_back.total(), incidents=kinds)


class _Similar:
    """Decides which of many similar events are logged. Bounded: it remembers kinds."""

    def __init__(self) -> None:
        self.held_back: Counter[tuple[str, str]] = Counter()
        """Engine and kind -> how many were held back since the last that was logged."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self._logged_s: dict[tuple[str, str], float] = {}

    def count(self, engine: str, what: str, now_s: float) -> dict[str, int] | None:
        """Count an event; return the fields that tell of those held back, or None if it is held back itself."""
        key = (engine, what)
        if key not in self._counts and len(self._counts) >= MOST_KINDS:
            key = ("", "other")
        self._counts[key] += 1
        few = self._counts[key] <= MOST_SIMILAR
        if not few and now_s - self._logged_s[key] < AGAIN_AFTER_S:
            self.held_back[key] += 1
            return None
        self._logged_s[key] = now_s
        return {} if few else {"count": self._counts[key], "held_back": self.held_back.pop(key, 0)}


class _ToStructlog(logging.Handler):
    """Logs the messages of libraries; of a flood as few as of incidents of one kind."""

    def __init__(self) -> None:
        super().__init__()
        self._similar = _Similar()

    def emit(self, record: logging.LogRecord) -> None:
        counted = self._similar.count(record.name, str(record.msg).partition("\n")[0][:80], record.created)
        if counted is None:
            return
        level = max(name for name in LEVELS.values() if name <= max(record.levelno, logging.DEBUG))
        error = record.exc_info if record.exc_info and record.exc_info[0] else None
        structlog.get_logger(record.name).log(level, record.getMessage(), logger=record.name, exc_info=error, **counted)


def _console() -> list[Processor]:
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return [structlog.dev.ConsoleRenderer(colors=colors)]


def _journal() -> list[Processor]:
    """Send entries to journald; what it does not accept goes to stderr as JSON, which it reads too."""
    writer = journald.Journald()

    def send(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if writer.send(event):
            raise structlog.DropEvent
        return event

    return [send, structlog.processors.JSONRenderer()]


def _json() -> list[Processor]:
    return [structlog.processors.JSONRenderer()]


def _safe(value: Any, key: str) -> Any:
    if isinstance(value, str):
        if is_secret_name(key):
            return masked({key: value})[key]
        return escaped_lines(tail(value, LONGEST_TRACEBACK)) if key in TRACEBACKS else printable(value, LONGEST_TEXT)
    if isinstance(value, Mapping):
        return {printable(name): _safe(item, "" if key == BY_ENGINE else str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple) and key != "exc_info":
        return [_safe(item, key) for item in value]
    return value


def _reason(record: Phase) -> dict[str, Any]:
    """Log why a run ends or is left, or for how long it was not watched."""
    told = {key: getattr(record, key, None) for key in ("reason", "signal", "gap_s")}
    return {key: value for key, value in told.items() if value is not None}


def _progress(status: RunStatus, now_s: float, elapsed_s: float) -> dict[str, Any]:
    remaining_s = status.remaining_s(now_s)
    coverage = status.coverage_ratio(now_s)
    return {
        "phase": status.phase,
        "elapsed_s": round(elapsed_s),
        "remaining_s": None if remaining_s is None else round(remaining_s),
        "coverage_ratio": None if coverage is None else round(coverage, 4),
        "verdict": status.state_so_far,
        "incidents_total": sum(status.incidents.values()),
        "engines": {engine.name: _engine_words(engine) for engine in status.engines.values()},
    }


def _engine_words(engine: EngineStatus) -> str:
    rate, p99_s, rss = engine.rate_per_s, engine.latency.get("service_p99_s"), engine.latest.get("rss_bytes")
    words = [
        "up" if engine.up else "down",
        "" if rate is None else f"{rate:,.0f}/s",
        "" if engine.errors is None else f"{engine.errors} errors",
        "" if p99_s is None else f"p99 {format_latency(p99_s)}",
        "" if rss is None else f"rss {format_bytes(rss)}",
        "" if engine.server is None else _server_words(engine.server),
        engine.state_so_far or "",
    ]
    return ", ".join(word for word in words if word)


def _server_words(server: ServerStatus) -> str:
    rss = server.latest.get("rss_bytes")
    if not server.up:
        return f"{server.kind} down"
    return f"{server.kind} rss {format_bytes(rss)}" if rss is not None else f"{server.kind} up"
