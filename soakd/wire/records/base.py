"""The common part of all records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soakd.wire.lines import Kind, Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One event or reading of one segment of one engine at one time; made by `make_record`.

    `engine` is "" for records about the run or its host.
    """

    kind: Kind
    engine: str
    segment: int
    at: Stamp
    body: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read the fields of this kind from a body; None if it is not a record of this kind."""
        raise NotImplementedError(f"{cls.__name__} of {len(body)} values")


class Unreadable(Record):
    """An invalid record: counted, and skipped."""

    __slots__ = ()
