"""Incidents: unexpected events, and faults on purpose. The sets of incidents that end a life are defined here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from soakd.wire import values
from soakd.wire.records.base import Record

LIFE_ENDS = frozenset({"crash", "exit", "hang", "start_failed"})
"""Incidents that end a life of an engine's process."""
NO_PROCESS = LIFE_ENDS | {"gave_up"}
"""Incidents after which an engine has no process. Giving up does not end a life: the last one has already ended."""
SERVER_LIFE_ENDS = frozenset({"server_crash", "server_hang"})
"""Incidents that end a life of a server."""
SERVER_GONE = SERVER_LIFE_ENDS | {"server_start_failed"}
"""Incidents that begin an outage. A failed start belongs to an outage, and does not end a life: none had begun."""
SERVER_DOWN = SERVER_GONE | {"server_gave_up"}
"""Incidents after which a server does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(Record):
    """An incident. Missing numbers and texts are None."""

    what: str
    detail: str | None
    fault: str | None
    """The fault on purpose that caused it."""
    server: str | None
    """The kind of server that it is about."""
    probe: str | None
    count: int | None
    seconds: float | None
    """How long soakd itself stood still."""
    gap_s: float | None
    """The time without a daemon."""
    recovery_s: float | None
    """From a server's exit, or its first unanswered request, until it answered again."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; requires its kind."""
        if (what := values.text(body, "what")) is None:
            return None
        named = {name: values.text(body, name) for name in ("detail", "fault", "server", "probe")}
        numbers = {name: values.number(body, name) for name in ("seconds", "gap_s", "recovery_s")}
        count = values.count(body, "count")
        return {"what": what, **named, **numbers, "count": count or None}

    @property
    def is_of_a_server(self) -> bool:
        """Whether its segment is a life of the engine's server."""
        return self.what.startswith("server_")

    def facts(self) -> Iterator[tuple[str, object]]:
        """Yield all fields, name and value, unchanged: engines' own incidents may have any."""
        yield from self.body.items()


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultIncident(Incident):
    """The beginning or end of a fault on purpose."""

    number: int | None
    """The number of the fault in the plan; None in older runs."""
    kind_of_fault: str | None
    at_s: float | None
    """The planned time."""
    took_place: bool | None
    from_mono_s: float | None
    until_mono_s: float | None
    healed_after_s: float | None
    told: Mapping[str, float]
    """Counts and times, by name."""
    engines: Mapping[str, Mapping[str, float]]
    """The same for each affected engine."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; requires its kind."""
        fields, took_place, engines = Incident.read(body), body.get("took_place"), body.get("engines")
        moments = {name: values.moment(body, name) for name in ("from_mono_s", "until_mono_s")}
        return None if fields is None else {
            **fields, **moments, "number": values.whole(body, "number"), "kind_of_fault": values.text(body, "kind"),
            "at_s": values.number(body, "at_s"), "took_place": took_place if type(took_place) is bool else None,
            "healed_after_s": values.number(body, "healed_after_s"), "told": values.numbers(body),
            "engines": {name: values.numbers(each) for name, each in engines.items()} if isinstance(engines, dict)
            else {},
        }  # fmt: skip
