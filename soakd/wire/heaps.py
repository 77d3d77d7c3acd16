"""The content of a heap snapshot: the heaviest types, and the longest containers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from soakd.wire import values


@dataclass(frozen=True, slots=True, kw_only=True)
class HeapType:
    """All objects of one type."""

    type: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container."""

    type: str
    length: int
    id: int | None
    """Its address, which identifies it within one life."""
    name: str | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heap:
    """A heap at one moment."""

    method: str
    """The method of counting."""
    objects: int | None
    bytes: int | None
    types: tuple[HeapType, ...]
    containers: tuple[Container, ...]


def read_heap(body: Mapping[str, object]) -> Heap | None:
    """Read the heap from the body of a snapshot; None if it was skipped or failed."""
    if not isinstance(body.get("types"), list):
        return None
    return Heap(
        method=str(body.get("method")), objects=values.whole(body, "objects"), bytes=values.whole(body, "bytes"),
        types=tuple(_types(body)), containers=tuple(_containers(body)),
    )  # fmt: skip


def _types(body: Mapping[str, object]) -> Iterator[HeapType]:
    for each in values.tables(body, "types") or ():
        name, count, size = values.text(each, "type"), values.whole(each, "count"), values.whole(each, "bytes")
        if name is not None and count is not None:
            yield HeapType(type=name, count=count, bytes=size or 0)


def _containers(body: Mapping[str, object]) -> Iterator[Container]:
    for each in values.tables(body, "containers") or ():
        name, length, address = values.text(each, "type"), values.whole(each, "length"), values.whole(each, "id")
        if name is not None and length is not None:
            yield Container(
                type=name, length=length, id=address, name=values.text(each, "name"),
                bytes=values.whole(each, "bytes"),
            )  # fmt: skip
