"""Converts dataclasses to and from JSON tables: written in the order of fields; unknown keys are ignored when reading.

A field with its default value is not written, unless it is `written()`. A name that Python reserves is given by `key`;
`FLAT` marks a dataclass whose fields are not in a table of their own.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def written(default: Any = None) -> Any:
    """Return a field that is written even with its default value."""
    return dataclasses.field(default=default, metadata={"written": True})


def named(key: str, default: Any) -> Any:
    """Return the same for a field that is called `key` in the file."""
    return dataclasses.field(default=default, metadata={"written": True, "key": key})


FLAT = {"flat": True}
"""Metadata of a field for a dataclass whose fields are in the same table; None if all of them are missing."""


def as_other(default: Any, *, write: Callable[[Any], Any], read: Callable[[Any], Any]) -> Any:
    """Return a field that is always written, with custom functions; `read` raises ValueError."""
    return dataclasses.field(default=default, metadata={"written": True, "write": write, "read": read})


def unwritten(default: Any) -> Any:
    """Return a field that is never written."""
    return dataclasses.field(default=default, metadata={"unwritten": True})


def to_json(value: Any) -> Any:
    """Convert a value to JSON types."""
    if dataclasses.is_dataclass(value):
        return dict(_pairs(value))
    if isinstance(value, Mapping):
        return {key: to_json(inner) for key, inner in value.items()}
    return [to_json(inner) for inner in value] if isinstance(value, tuple | list) else value


def from_json(cls: type[T], table: Any, place: str = "") -> T:
    """Read a dataclass from a table of JSON.

    Raises:
        ValueError: something is missing or has another type; the message says where.
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"{place or 'it'} is no table")
    found = {}
    for field, kind in fields_of(cls):  # type: ignore[arg-type]  # a type can be hashed
        if field.metadata.get("flat"):
            found[field.name] = _read_beside(kind, table, place)
        elif not field.metadata.get("unwritten"):
            key = key_of(field)
            where = f"{place}.{key}" if place else key
            if (value := table.get(key)) is not None:
                read = field.metadata.get("read")
                found[field.name] = _read(kind, value, where) if read is None else _read_other(read, value, where)
            elif field.default is MISSING:
                raise ValueError(f"{where} is missing")
    return cls(**found)


@cache
def fields_of(cls: Any) -> tuple[tuple[Field[Any], Any], ...]:
    """Return the fields of a dataclass, each with its type; X of `X | None`."""
    hints = get_type_hints(cls)
    return tuple((field, _within(hints[field.name])) for field in dataclasses.fields(cls))


def key_of(field: Field[Any]) -> str:
    """Return the key of a field in the file."""
    return str(field.metadata.get("key", field.name))


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if field.metadata.get("flat"):
            yield from _pairs(inner) if inner is not None else ()
        elif not field.metadata.get("unwritten") and (inner != field.default or field.metadata.get("written")):
            yield key_of(field), field.metadata.get("write", to_json)(inner)


def _read_beside(kind: Any, table: Mapping[str, Any], place: str) -> Any:
    """Read a dataclass whose fields are in the same table; None if all are missing."""
    there = any(table.get(key_of(field)) is not None for field, _ in fields_of(kind))
    return from_json(kind, table, place) if there else None


def _within(kind: Any) -> Any:
    """Return X of `X | None`."""
    if get_origin(kind) not in (Union, UnionType):
        return kind
    return next(each for each in get_args(kind) if each is not NoneType)


def _read(kind: Any, value: Any, place: str) -> Any:
    """Read a value of some type.

    Raises:
        ValueError: it is of another type.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return from_json(kind, value, place)  # type: ignore[arg-type]  # a type, by the hints
    if origin is tuple:
        _expect(isinstance(value, list | tuple), place, "list")
        return tuple(_read(arguments[0], inner, f"{place}[{number}]") for number, inner in enumerate(value))
    if origin is Mapping:
        _expect(isinstance(value, Mapping), place, "table")
        return {key: _read(arguments[1], inner, f"{place}.{key}") for key, inner in value.items()}
    if origin is Literal:
        _expect(value in arguments, place, f"one of {', '.join(map(str, arguments))}")
        return value
    _expect(type(value) in ((int, float) if kind in (int, float) else (kind,)), place, kind.__name__)
    return value


def _read_other(read: Callable[[Any], Any], value: Any, place: str) -> Any:
    try:
        return read(value)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _expect(is_so: bool, place: str, what: str) -> None:
    if not is_so:
        raise ValueError(f"{place} is no {what}")
