"""`/api/v1`: the state of a run as JSON. docs/api.md describes each answer; changes are additions only."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from soakd.errors import JournalError
from soakd.live.status import BUCKETS, EngineStatus, History, RunStatus, units_of
from soakd.record import verdict_file
from soakd.record.run_folder import RunDir
from soakd.wire.masking import masked

VERSION = 1
DEFAULT_POINTS = 256
SPANS = ("whole", "recent")
RESOURCES = {
    "run": "/api/v1/run", "engines": "/api/v1/engines", "engine": "/api/v1/engines/NAME",
    "series": "/api/v1/engines/NAME/series?signal=S&points=N&span=whole|recent", "own_series": "/api/v1/own/series",
    "incidents": "/api/v1/incidents", "verdict": "/api/v1/verdict", "events": "/api/v1/events",
}  # fmt: skip


class Api:
    """The reading part of the interface. Everything but the verdict file is in memory, and bounded."""

    def __init__(self, status: RunStatus, now: Callable[[], float], verdict: Path | None) -> None:
        self._status, self._now, self._verdict = status, now, verdict

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add its routes."""
        router.add_get("/api/v1", self.index)
        router.add_get("/api/v1/run", self.run)
        router.add_get("/api/v1/engines", self.engines)
        router.add_get("/api/v1/engines/{name}", self.engine)
        router.add_get("/api/v1/engines/{name}/series", self.series)
        router.add_get("/api/v1/own/series", self.own_series)
        router.add_get("/api/v1/incidents", self.incidents)
        router.add_get("/api/v1/verdict", self.verdict)

    async def index(self, _: web.Request) -> web.Response:
        """List the addresses."""
        return answer({"version": VERSION, "run": self._status.run_id, "resources": RESOURCES})

    async def run(self, _: web.Request) -> web.Response:
        """Return the state of the run itself."""
        return answer(self._status.run_as_dict(self._now()))

    async def engines(self, _: web.Request) -> web.Response:
        """Return the state of every engine, in the plan's order."""
        return answer({"engines": [self._one(engine) for engine in self._status.engines.values()]})

    async def engine(self, request: web.Request) -> web.Response:
        """Return the state of one engine."""
        return answer(self._one(self._named(request)))

    async def series(self, request: web.Request) -> web.Response:
        """Return thinned series of one engine."""
        engine = self._named(request)
        return _series(request, engine.history, {"engine": engine.name})

    async def own_series(self, request: web.Request) -> web.Response:
        """Return thinned series of the daemon and its host."""
        return _series(request, self._status.own_history, {})

    async def incidents(self, _: web.Request) -> web.Response:
        """Return the latest incidents of each kind, oldest first."""
        timeline = self._status.timeline
        return answer({"total": timeline.total, "incidents": timeline.as_list()})

    async def verdict(self, _: web.Request) -> web.Response:
        """Return verdict.json unchanged."""
        if self._verdict is None:
            raise refusal(404, "no verdict has been written yet")
        try:
            written = await asyncio.to_thread(verdict_file.read, RunDir(self._verdict.parent))
        except JournalError as error:
            raise refusal(
                404, "the verdict cannot be read: the file is missing, or was changed after it was written"
            ) from error
        return web.Response(body=written.text.encode(), content_type="application/json")

    def _one(self, engine: EngineStatus) -> dict[str, Any]:
        planned = next(plan for plan in self._status.plan.engines if plan.config.name == engine.name)
        limits = planned.config.limits
        return {
            **engine.as_dict(),
            "profile": planned.config.profile, "mix": planned.config.mix,
            "load": {"start_s": planned.load.start_s, "end_s": planned.load.end_s},
            "limits": {
                "latency_p95_s": limits.latency_p95_s, "error_ratio": limits.error_ratio, "cpu_ratio": limits.cpu_ratio,
            },
        }  # fmt: skip

    def _named(self, request: web.Request) -> EngineStatus:
        name = request.match_info["name"]
        if (engine := self._status.engines.get(name)) is None:
            raise refusal(404, f"no engine {name!r}: this run has {', '.join(self._status.engines)}")
        return engine


def answer(value: object) -> web.Response:
    """Return an answer as compact JSON, without secrets."""
    text = json.dumps(masked(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return web.Response(body=text.encode("utf-8", "backslashreplace"), content_type="application/json")


def refusal(status: int, why: str) -> web.HTTPException:
    """Return an error with its reason, as JSON."""
    kind = {400: web.HTTPBadRequest, 404: web.HTTPNotFound}[status]
    return kind(text=json.dumps({"error": why}), content_type="application/json")


def _series(request: web.Request, history: History, head: dict[str, Any]) -> web.Response:
    points, span = _points(request.query.get("points")), request.query.get("span", SPANS[0])
    if span not in SPANS:
        raise refusal(400, f"span must be one of {', '.join(SPANS)}, got {span[:40]!r}")
    asked = [name for given in request.query.getall("signal", []) for name in given.split(",")]
    signals = [name for name in history.signals if name in asked] if asked else history.signals
    read = history.whole if span == "whole" else history.recent
    return answer({
        **head, "span": span, "every_s": history.every_s,
        "stretch_s": history.width_s if span == "whole" else history.every_s,
        "signals": {name: {"unit": unit, **read(name, points).as_dict()} for name, unit in units_of(signals)},
    })  # fmt: skip


def _points(given: str | None) -> int:
    if given is None:
        return DEFAULT_POINTS
    if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= BUCKETS:
        raise refusal(400, f"points must be a whole number from 1 to {BUCKETS}, got {given[:40]!r}")
    return int(given)
