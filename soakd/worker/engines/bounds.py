"""The bounds of its size that a user's engine declares."""

import sys
from collections.abc import Mapping
from numbers import Integral, Real

from soakd.errors import EngineError

BOUNDS = ("capacity_entries", "bytes_per_entry", "capacity_bytes")


def declared_bounds(made: object) -> Mapping[str, float]:
    """Return the bounds that `made` declares, as plain Python numbers.

    Raises:
        EngineError: one is not a finite number above 0; it would distort the verdict, or not be valid JSON.
    """
    values = {name: getattr(made, name, None) for name in BOUNDS}
    return {name: _number(name, value) for name, value in values.items() if value is not None}


def _number(name: str, value: object) -> float:
    number = _own_number(value)
    # Compared, not converted: an int too large for a float does not raise, and NaN is in no range.
    if number is None or not 0 < number <= sys.float_info.max:
        raise EngineError(f"{name}: must be a number above 0, got {_shown(value)}")
    return number


def _own_number(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else None


def _shown(value: object) -> str:
    too_long = isinstance(value, int) and value.bit_length() > 200  # Python refuses to print some
    if too_long or not isinstance(value, int | float | str):
        return type(value).__name__
    return repr(value[:40] if isinstance(value, str) else value)
