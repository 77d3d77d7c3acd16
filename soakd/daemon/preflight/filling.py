"""Whether a bounded cache in an engine's own process is full before the load ends, so that growth can pass."""

from collections.abc import Mapping

from soakd.daemon.preflight.finding import Finding
from soakd.setup.engine_kinds import KINDS
from soakd.setup.plan import EnginePlan
from soakd.setup.settings import Limits
from soakd.units import format_count

OPERATIONS_AN_ENTRY: Mapping[str, float] = {"standard": 3.0, "read-heavy": 3.0, "write-heavy": 3.0, "cache-miss": 1.0}
"""Operations of a mix that bring an entry, while 10,000 come: 27,975 of `standard` have 10,000 keys, each of
`cache-miss` has one. `complex` has too few keys for that."""
MOST_KEYS = 18_000
"""Keys of a tape, but for `cache-miss`, whose keys have no end."""
BYTES_AN_ENTRY = 425.0
"""Of the Rust cache; the Python one takes more."""


def cache_filling(engine: EnginePlan, operations: float) -> Finding | None:
    """Report a cache that may still be filling at the end, faster than a limit of growth allows.

    Args:
        engine: of the plan.
        operations: that its load phase performs at least.
    """
    config, mix = engine.config, engine.config.mix
    option = KINDS[config.kind].options.get("capacity")
    if option is None or KINDS[config.kind].server is not None or mix not in OPERATIONS_AN_ENTRY or not operations:
        return None
    capacity = engine.options.get("capacity", option.default)
    needed = OPERATIONS_AN_ENTRY[mix] * capacity
    has_keys = mix == "cache-miss" or capacity <= MOST_KEYS
    grown = BYTES_AN_ENTRY * min(capacity, operations / OPERATIONS_AN_ENTRY[mix], *([] if has_keys else [MOST_KEYS]))
    if (has_keys and operations >= needed) or not _exceeds(config.limits, grown, operations, engine.rate_per_s):
        return None
    fits = int(min(operations / OPERATIONS_AN_ENTRY[mix], MOST_KEYS) // 100 * 100)
    why = f"about {format_count(needed)} operations fill it" if has_keys else f"the mix has {MOST_KEYS:,} keys"
    advice = f"set capacity = {fits:_} or less" + (", or run longer" if has_keys else "") if fits else "run longer"
    text = f"its cache of {format_count(capacity)} entries is not full when the load ends ({why})"
    return Finding("warning", f"{text}: growth beside it may neither pass nor fail: {advice}")


def _exceeds(limits: Limits, grown: float, operations: float, rate_per_s: float) -> bool:
    """Return whether a fill alone grows faster than a limit of growth."""
    per_operation, hourly = limits.growth_per_operation_bytes, limits.growth_rate_bytes_per_h
    per_hour = grown / operations * rate_per_s * 3600.0
    return (per_operation is not None and grown / operations > per_operation) or (
        hourly is not None and per_hour > hourly
    )
