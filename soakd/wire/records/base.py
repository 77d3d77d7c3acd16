"""What every record has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from soakd.wire.lines import Kind, Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that happened, or was read, at one moment of one segment of one engine; made by `make_record`.

    `engine` is "" for what concerns the run or its host.
    """

    kind: Kind
    engine: str
    segment: int
    at: Stamp
    body: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, body: Mapping[str, object]) -> dict[str, Any] | None:
        """Read the fields of this kind out of a body; None where it is no record of this kind."""
        raise NotImplementedError(f"{cls.__name__} of {len(body)} values")


class Unreadable(Record):
    """A record that is not what it should be: counted, and passed over."""

    __slots__ = ()
