"""Events as JSON: one object each, schema `soakd.event/1`, additive changes only.

`text` is one line for people: chat systems that take webhooks show it as it is.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from soakd.live.status import answer_so_far, printable
from soakd.procs.proc import now
from soakd.verdict.wording import LEAK_CHECKS
from soakd.wire.records import Incident

SCHEMA = "soakd.event/1"
MOST_INCIDENTS = 20
MOST_KINDS = 64
MOST_TEXT = 500
MOST_ENGINES = 64


def event(what: str, about: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return an event; `about` has the fields that identify the run."""
    at = datetime.fromtimestamp(now().wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"schema": SCHEMA, "event": what, "at": at, **about, **more}


def verdict_event(
    what: str, about: Mapping[str, Any], verdict: Mapping[str, Any], *, state: str | None = None,
    before: str | None = None, failure: str | None = None, final: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return the event of a verdict, so far or final."""
    state = state or (str(verdict["verdict"]) if "verdict" in verdict else None)
    summary = printable(verdict.get("summary") or failure or "there is no verdict", MOST_TEXT)
    words = f"{about.get('run_id')}: {state or 'no verdict'}{'' if final else ' so far'}: {summary}"
    return event(
        what, about, state=state, before=before, final=final, summary=summary,
        failure=None if failure is None else printable(failure, MOST_TEXT),
        engines=[_engine(entry) for entry in (verdict.get("engines") or ())[:MOST_ENGINES]], text=words,
    )  # fmt: skip


def _engine(entry: Mapping[str, Any]) -> dict[str, Any]:
    checks = entry.get("checks") or ()
    leak: Mapping[str, Any] = next(
        (c for c in checks if str(c.get("id")).startswith(LEAK_CHECKS) and not c.get("informational")), {}
    )
    growth = {name: leak[name] for name in ("estimate", "low", "high", "limit", "unit") if name in leak}
    named = {name: printable(entry.get(name), MOST_TEXT) for name in ("name", "role", "class", "reason")}
    return {**named, "state": answer_so_far(checks), "growth": growth or None}


class Incidents:
    """Incidents on their way to one event: the first ones whole, all of them counted. Bounded."""

    def __init__(self) -> None:
        self._first: list[dict[str, Any]] = []
        self._counts: Counter[tuple[str, str]] = Counter()

    @property
    def total(self) -> int:
        """How many there are."""
        return self._counts.total()

    def add(self, record: Incident) -> None:
        """Add one."""
        key = (record.engine, printable(record.what, 80))
        if key not in self._counts and len(self._counts) >= MOST_KINDS:
            key = ("", "other")
        self._counts[key] += 1
        if len(self._first) < MOST_INCIDENTS:
            detail = printable(record.detail or "", MOST_TEXT)
            incident = {"engine": record.engine or None, "what": key[1], "detail": detail}
            self._first.append({**incident, "segment": record.segment, "at_wall_s": round(record.at.wall_s, 3)})

    def take(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return them as one event, and begin anew."""
        first, counts = self._first, self._counts
        self._first, self._counts = [], Counter()
        counted = [{"engine": engine or None, "what": what, "count": n} for (engine, what), n in counts.most_common()]
        words = ", ".join(_words(*key, count) for key, count in counts.most_common(5))
        rest = len(counts) - 5
        text = f"{about.get('run_id')}: {words}" + (f" and {rest} other kinds" if rest > 0 else "")
        return event("incident", about, total=counts.total(), counts=counted, incidents=first, text=text)


def _words(engine: str, what: str, count: int) -> str:
    times = f" ({count} times)" if count > 1 else ""
    return f"{engine or 'run'}: {what.replace('_', ' ')}{times}"
