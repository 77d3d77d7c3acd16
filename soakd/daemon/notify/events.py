"""Events as JSON: one object each, schema `soakd.event/1`, additive changes only.

`text` is one line for people: chat systems that take webhooks show it as it is.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from soakd.live.status import answer_so_far, printable
from soakd.procs.proc import now
from soakd.verdict.types import EngineVerdict, Verdict
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
    what: str, about: Mapping[str, Any], verdict: Verdict | None, *, state: str | None = None,
    before: str | None = None, failure: str | None = None, final: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return the event of a verdict, so far or final."""
    state = state or (verdict.verdict if verdict is not None else None)
    summary = printable((verdict.summary if verdict else "") or failure or "there is no verdict", MOST_TEXT)
    words = f"{about.get('run_id')}: {state or 'no verdict'}{'' if final else ' so far'}: {summary}"
    return event(
        what, about, state=state, before=before, final=final, summary=summary,
        failure=None if failure is None else printable(failure, MOST_TEXT),
        engines=[_engine(found) for found in (verdict.engines if verdict else ())[:MOST_ENGINES]], text=words,
    )  # fmt: skip


def _engine(engine: EngineVerdict) -> dict[str, Any]:
    leak = next((c for c in engine.checks if c.id.startswith(LEAK_CHECKS) and not c.informational), None)
    numbers = {} if leak is None else leak.as_dict()
    growth = {name: numbers[name] for name in ("estimate", "low", "high", "limit", "unit") if name in numbers}
    named = {"name": engine.name, "role": engine.role, "class": engine.growth_class, "reason": engine.reason}
    shown = {key: printable(text, MOST_TEXT) for key, text in named.items()}
    return {**shown, "state": answer_so_far(engine.checks), "growth": growth or None}


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
