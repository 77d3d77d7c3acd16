"""The output of `soakd snapshot` as lines: the heap of an engine, or the sites that a deep look found."""

from collections.abc import Iterator, Mapping
from typing import Any

from soakd.live.status import printable
from soakd.live.terminal.sites import growth_lines
from soakd.units import format_bytes, format_count, format_duration
from soakd.wire.sites import decode_all

SHOWN = 10


def snapshot_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one answer."""
    name = printable(answer["engine"])
    yield from _heap(name, answer["snapshot"]) if "snapshot" in answer else _look(name, answer["look"])


def _heap(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    took = f", in {format_duration(body['duration_s'])}" if "duration_s" in body else ""
    size = format_bytes(body["bytes"])
    yield f"{name}: {format_count(body['objects'])} objects, {size} (counted by {printable(body['method'])}{took})"
    for row in body["types"][:SHOWN]:
        yield f"  type       {format_bytes(row['bytes']):>8}  {printable(row['type'])}  {row['count']:,} objects"
    for row in body["containers"][:SHOWN]:
        place = printable(row.get("name") or f"at {row['id']:#x}")
        size = f", {format_bytes(row['bytes'])}" if "bytes" in row else ""
        yield f"  container  {row['length']:>8,}  {printable(row['type'])} {place}{size}"


def _look(name: str, body: Mapping[str, Any]) -> Iterator[str]:
    operations = " and ".join(f"{count:,}" for count in body.get("operations") or ())
    how = (
        "containers only, because the memory of the load phase is judged"
        if body.get("light")
        else "lines and containers"
    )
    yield f"{name}: a deep look over {operations or 'no'} operations ({how})"
    lines = list(growth_lines(name, decode_all(body.get("sites") or [])))
    yield from (f"  {line}" for line in lines or [f"{name}: nothing grew in both windows"])
