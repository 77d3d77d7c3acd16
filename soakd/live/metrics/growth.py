"""The judge's last figures for growth in bytes; per hour and per operation, if it has both."""

from collections.abc import Iterator, Mapping

from soakd.live.metrics.family import Family, Values
from soakd.live.status import EngineStatus, RunStatus
from soakd.verdict.check import Check
from soakd.verdict.details import GrowthDetail

BOUNDS = ("estimate", "low", "high")
UNITS = ("bytes/hour", "bytes/operation")
NOT_JUDGED = "before the first verdict, and during the run for signals that are judged only at its end"


def _rates(status: RunStatus, _: float) -> Values:
    for engine, signal, checks in _growth(status):
        for bound, per_hour in _per_hour(checks).items():
            yield (engine, signal, bound), _per_second(per_hour)


def _per_hour(checks: Mapping[str, Check]) -> Mapping[str, float | None]:
    """Return the bounds of the hourly check, or else the hourly ones of the check per operation."""
    by_hour, by_operation = (checks.get(unit) for unit in UNITS)
    if by_hour is not None:
        return dict(zip(BOUNDS, (by_hour.estimate, by_hour.low, by_hour.high), strict=True))
    other = (by_operation.growth if by_operation is not None else None) or GrowthDetail()
    return dict(zip(BOUNDS, (other.per_hour, other.per_hour_low, other.per_hour_high), strict=True))


def _detectable(status: RunStatus, _: float) -> Values:
    for engine, signal, checks in _growth(status):
        by_hour, by_operation = (checks.get(unit) for unit in UNITS)
        if by_hour is not None:
            yield (engine, signal), _per_second(by_hour.minimum_detectable)
        elif by_operation is not None and by_operation.growth is not None:
            yield (engine, signal), _per_second(by_operation.growth.per_hour_minimum_detectable)


def _per_operation(status: RunStatus, _: float) -> Values:
    for engine, signal, checks in _growth(status):
        rates = [check.per_operation for unit in reversed(UNITS) if (check := checks.get(unit)) is not None]
        yield (engine, signal), next((rate for rate in rates if rate is not None), None)


def _times_to_limit(status: RunStatus, _: float) -> Values:
    return [((engine.name,), _time_to_limit(engine)) for engine in status.engines.values()]


def _time_to_limit(engine: EngineStatus) -> float | None:
    """Return the shortest time of any signal to its limit."""
    times = (check.time_to_limit_seconds for check in engine.checks.values())
    return min((time for time in times if time is not None), default=None)


def _growth(status: RunStatus) -> Iterator[tuple[str, str, Mapping[str, Check]]]:
    """Yield engine, signal and its checks by unit, for all growth in bytes."""
    for engine in status.engines.values():
        found: dict[str, dict[str, Check]] = {}
        for check_id, check in engine.checks.items():
            if check_id.startswith("growth.") and check.unit in UNITS:
                signal = check_id.removeprefix("growth.").removesuffix(".per_operation")
                found.setdefault(signal, {})[check.unit] = check
        for signal, checks in found.items():
            yield engine.name, signal, checks


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
