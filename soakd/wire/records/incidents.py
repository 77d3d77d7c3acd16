"""Incidents: what happened that should not have, or was done on purpose. Which of them end a life stands here once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from soakd.wire import values
from soakd.wire.records.base import Record

LIFE_ENDS = frozenset({"crash", "exit", "hang", "start_failed"})
"""They end a life of an engine's process."""
NO_PROCESS = LIFE_ENDS | {"gave_up"}
"""After these an engine has no process. Giving up ends no life: the one before has ended already."""
SERVER_LIFE_ENDS = frozenset({"server_crash", "server_hang"})
"""They end a life of a server."""
SERVER_GONE = SERVER_LIFE_ENDS | {"server_start_failed"}
"""An outage begins with them. A failed start belongs to an outage, and ends no life: none had begun."""
SERVER_DOWN = SERVER_GONE | {"server_gave_up"}
"""After these a server does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident(Record):
    """Something happened. Numbers and texts that it does not give are None."""

    what: str
    detail: str | None
    fault: str | None
    """The fault on purpose whose doing it is."""
    server: str | None
    """What sort of server it is of."""
    probe: str | None
    count: int | None
    seconds: float | None
    """How long soakd itself stood still."""
    gap_s: float | None
    """For how long no daemon was there."""
    recovery_s: float | None
    """From the end of a server, or its first unanswered question, to its answering again."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Ask what it is."""
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
        """Yield everything that was told, name and value, as it was told: engines' own incidents say what they like."""
        yield from self.body.items()


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultIncident(Incident):
    """A fault on purpose begins, or has ended."""

    number: int | None
    """Of the fault in the plan; None where soakd did not number them yet."""
    kind_of_fault: str | None
    at_s: float | None
    """When it was planned."""
    took_place: bool | None
    from_mono_s: float | None
    until_mono_s: float | None
    healed_after_s: float | None
    told: Mapping[str, float]
    """What was counted and timed, by name."""
    engines: Mapping[str, Mapping[str, float]]
    """The same of each engine that it touched."""

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Ask what it is."""
        fields, took_place, engines = Incident.read(body), body.get("took_place"), body.get("engines")
        moments = {name: values.moment(body, name) for name in ("from_mono_s", "until_mono_s")}
        return None if fields is None else {
            **fields, **moments, "number": values.whole(body, "number"), "kind_of_fault": values.text(body, "kind"),
            "at_s": values.number(body, "at_s"), "took_place": took_place if type(took_place) is bool else None,
            "healed_after_s": values.number(body, "healed_after_s"), "told": values.numbers(body),
            "engines": {name: values.numbers(each) for name, each in engines.items()} if isinstance(engines, dict)
            else {},
        }  # fmt: skip
