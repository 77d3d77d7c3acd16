"""Records of kind `phase`: phases of a worker, and events of the run itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soakd.wire import values
from soakd.wire.records.base import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase(Record):
    """A worker enters a phase, or an event of the run itself."""

    name: str | None

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; nothing is required."""
        return {"name": values.text(body, "name")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin(Phase):
    """All engines are ready: the run's time begins."""

    mono_s: float

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; requires the time."""
        mono_s = values.moment(body, "mono_s")
        return None if mono_s is None else {"name": "origin", "mono_s": mono_s}


@dataclass(frozen=True, slots=True, kw_only=True)
class Left(Phase):
    """A daemon leaves the run in order, to be resumed; or (`End`) the run ends."""

    reason: str | None
    signal: str | None
    records_dropped: int
    events_dropped: int

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; nothing is required."""
        lost = {name: values.count(body, name) for name in ("records_dropped", "events_dropped")}
        named = {name: values.text(body, name) for name in ("name", "reason", "signal")}
        return {**named, **lost}


class End(Left):
    """The run ends: the record that seals it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Phase):
    """Another daemon takes over the run: the lives that are its own, and what to add to its clocks."""

    segments: Mapping[str, int]
    """Engine -> its first life under this daemon."""
    server_lives: Mapping[str, int]
    shift_s: float
    boot_shift_s: float
    since_wall_s: float
    gap_s: float | None
    boot_id: str | None

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; requires what is needed to put its records on one clock."""
        try:
            segments, lives = (
                {str(name): int(first) for name, first in body[key].items()}  # type: ignore[attr-defined]
                for key in ("segments", "server_lives")
            )
            shifts = {key: float(body[key]) for key in ("shift_s", "boot_shift_s", "since_wall_s")}  # type: ignore[arg-type]
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        return {
            "name": "resumed", "segments": segments, "server_lives": lives, **shifts,
            "gap_s": values.number(body, "gap_s"), "boot_id": values.text(body, "boot_id"),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The packages of one environment, and the engines that run in it."""

    engines: tuple[str, ...]
    packages: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages(Phase):
    """The packages installed in the engines' environments."""

    environments: tuple[Environment, ...]

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read it; all values must be texts."""
        found = []
        listed = body.get("environments")
        for each in listed if isinstance(listed, list) else [None]:
            engines = values.texts(each.get("engines")) if isinstance(each, dict) else None
            packages = each.get("packages") if isinstance(each, dict) else None
            if engines is None or not isinstance(packages, dict) or values.texts([*packages.values()]) is None:
                return None
            found.append(Environment(engines=engines, packages=packages))
        return {"name": "packages", "environments": tuple(found)}


MARKS: Mapping[str | None, type[Phase]] = {
    "origin": Origin, "end": End, "left": Left, "resumed": Resumed, "packages": Packages,
}  # fmt: skip
"""The events of the run itself, by name."""
