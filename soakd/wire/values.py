"""Reads one value of a record's body as the expected type, or None if it has another type."""

from collections.abc import Mapping

from soakd.wire.bounds import MOST_READING

LATEST_S = 1e11
"""The year 5000: later times are not from a clock."""


def is_number(value: object, most: float = MOST_READING) -> bool:
    """Return whether a value is a finite number that can be a reading."""
    return type(value) in (int, float) and -most <= value <= most  # type: ignore[operator]


def number(body: Mapping[str, object], name: str, most: float = MOST_READING) -> float | None:
    """Return a number unchanged: an int stays an int."""
    value = body.get(name)
    return value if is_number(value, most) else None  # type: ignore[return-value]


def moment(body: Mapping[str, object], name: str) -> float | None:
    """Return seconds on a clock."""
    return number(body, name, LATEST_S)


def whole(body: Mapping[str, object], name: str) -> int | None:
    """Return a whole number."""
    value = body.get(name)
    return value if type(value) is int else None


def count(body: Mapping[str, object], name: str, otherwise: int = 0) -> int:
    """Return a count above 0, or `otherwise`."""
    value = number(body, name)
    return int(value) if value is not None and value > 0 else otherwise


def text(body: Mapping[str, object], name: str) -> str | None:
    """Return a text."""
    value = body.get(name)
    return value if isinstance(value, str) else None


def texts(value: object) -> tuple[str, ...] | None:
    """Return a list of texts."""
    return tuple(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else None


def tables(body: Mapping[str, object], name: str) -> list[Mapping[str, object]] | None:
    """Return the tables in a list."""
    value = body.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else None


def numbers(value: object) -> dict[str, float]:
    """Return the numbers of a table by their names."""
    return {name: each for name, each in value.items() if is_number(each)} if isinstance(value, dict) else {}
