"""The judge's last figures for growth in bytes; per hour and per operation, if it has both."""

from collections.abc import Iterator, Mapping
from typing import Any

from soakd.live.metrics.family import Family, Values
from soakd.live.status import EngineStatus, RunStatus

BOUNDS = ("estimate", "low", "high")
HOURLY = {"estimate": "per_hour", "low": "per_hour_low", "high": "per_hour_high"}
"""Bound -> its key in a check that is judged per operation."""
UNITS = ("bytes/hour", "bytes/operation")
NOT_JUDGED = "before the first verdict, and during the run for signals that are judged only at its end"


def _rates(status: RunStatus, _: float) -> Values:
    for engine, signal, checks in _growth(status):
        for bound in BOUNDS:
            yield (engine, signal, bound), _per_second(_either(checks, bound, HOURLY[bound]))


def _detectable(status: RunStatus, _: float) -> Values:
    for engine, signal, checks in _growth(status):
        yield (engine, signal), _per_second(_either(checks, "minimum_detectable", "per_hour_minimum_detectable"))


def _per_operation(status: RunStatus, _: float) -> Values:
    for engine, signal, checks in _growth(status):
        hourly, per_operation = (checks.get(unit, {}) for unit in UNITS)
        value = per_operation.get("estimate")
        yield (engine, signal), hourly.get("per_operation") if value is None else value


def _times_to_limit(status: RunStatus, _: float) -> Values:
    return [((engine.name,), _time_to_limit(engine)) for engine in status.engines.values()]


def _time_to_limit(engine: EngineStatus) -> float | None:
    """Return the shortest time of any signal to its limit."""
    times = (check.get("time_to_limit_seconds") for check in engine.checks.values())
    return min((time for time in times if time is not None), default=None)


def _growth(status: RunStatus) -> Iterator[tuple[str, str, Mapping[str, Mapping[str, Any]]]]:
    """Yield engine, signal and its checks by unit, for all growth in bytes."""
    for engine in status.engines.values():
        found: dict[str, dict[str, Mapping[str, Any]]] = {}
        for check_id, check in engine.checks.items():
            if check_id.startswith("growth.") and (unit := check.get("unit")) in UNITS:
                signal = check_id.removeprefix("growth.").removesuffix(".per_operation")
                found.setdefault(signal, {})[unit] = check
        for signal, checks in found.items():
            yield engine.name, signal, checks


def _either(checks: Mapping[str, Mapping[str, Any]], hourly: str, otherwise: str) -> float | None:
    """Return a number of the hourly check, or else the hourly number of the check per operation."""
    by_hour, by_operation = (checks.get(unit) for unit in UNITS)
    value: float | None = (by_operation or {}).get(otherwise) if by_hour is None else by_hour.get(hourly)
    return value


def _per_second(per_hour: float | None) -> float | None:
    return None if per_hour is None else per_hour / 3600.0


FAMILIES = (
    Family(
        "soakd_engine_growth_bytes_per_second", "gauge", ("engine", "signal", "bound"),
        "Growth that remains, with its 95 % interval: estimate, low, high", NOT_JUDGED, _rates,
    ),
    Family(
        "soakd_engine_growth_bytes_per_operation", "gauge", ("engine", "signal"), "Growth that remains, per operation",
        NOT_JUDGED, _per_operation,
    ),
    Family(
        "soakd_engine_minimum_detectable_growth_bytes_per_second", "gauge", ("engine", "signal"),
        "The least growth that would have been called a failure", NOT_JUDGED, _detectable,
    ),
    Family(
        "soakd_engine_time_to_limit_seconds", "gauge", ("engine",),
        "Time until growth reaches a limit at the present rate", "if nothing grows towards a limit",
        _times_to_limit,
    ),
)  # fmt: skip
