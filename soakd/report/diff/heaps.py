"""Types and containers that grew between two moments of one run, from the heap snapshots nearest to them.

A snapshot lists the heaviest types and the longest containers only. One that is only in the later list was at most as
large as the last entry of the earlier list: its growth is given as a minimum.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from soakd.errors import JournalError
from soakd.record.recording import Recording
from soakd.record.run_folder import RunDir
from soakd.setup.plan import EnginePlan
from soakd.units import format_duration
from soakd.wire.heaps import Container, Heap, HeapType
from soakd.wire.records import Snapshot

SCHEMA = "soakd.diff-heap/1"
WITHIN_PERIODS = 2.0
"""Most snapshot periods between a snapshot and the requested moment."""
CLOSED = "close"


class Shot(NamedTuple):
    """One heap snapshot."""

    at_s: float
    """Seconds since the run's origin."""
    segment: int
    heap: Heap


def diff_heaps(run: RunDir, from_s: float | None, to_s: float | None) -> dict[str, Any]:
    """Compare the heap snapshots nearest to two moments, engine by engine.

    Args:
        run: the run; it may go on.
        from_s: seconds since the origin; None for the beginning of the load phase.
        to_s: the same; None for its end.

    Returns:
        Per engine the two snapshots and what grew between them, or `why` there is nothing to compare.

    Raises:
        JournalError: no engine has snapshots there, the moments are in the wrong order, or the journal is unreadable.
    """
    recording = Recording.open(run)
    plan = recording.plan
    shots, skipped, last_s = _read(recording)
    if from_s is not None and to_s is not None and from_s >= to_s:
        raise JournalError(f"--from {format_duration(from_s)}: must be before --to {format_duration(to_s)}")
    every_s = plan.config.run.snapshot_every_s
    for flag, asked_s in (("--from", from_s), ("--to", to_s)):
        if asked_s is not None and asked_s > last_s + WITHIN_PERIODS * (every_s or 0.0):
            raise JournalError(f"{flag} {format_duration(asked_s)}: the run has {format_duration(last_s)}")
    engines = [
        _engine(engine, shots.get(engine.config.name, []), skipped.get(engine.config.name, []), from_s, to_s)
        for engine in plan.engines
    ]
    if all("why" in engine for engine in engines):
        raise JournalError("; ".join(dict.fromkeys(f"{engine['name']}: {engine['why']}" for engine in engines)))
    return {"schema": SCHEMA, "run_id": run.run_id, "engines": engines}


def _read(recording: Recording) -> tuple[dict[str, list[Shot]], dict[str, list[str]], float]:
    """Read the snapshots of every engine in order of time, why others were skipped, and when the last record was."""
    if (origin := recording.origin) is None:
        raise JournalError(f"{recording.path.parent}: its engines never stood ready")
    origin_s = origin.mono_s
    shots: dict[str, list[Shot]] = {}
    skipped: dict[str, list[str]] = {}
    last_s = 0.0
    for record in recording.records("snapshot"):
        if not isinstance(record, Snapshot):
            continue
        if (heap := record.heap()) is not None:
            shots.setdefault(record.engine, []).append(Shot(record.at.mono_s - origin_s, record.segment, heap))
        else:
            skipped.setdefault(record.engine, []).append(str(record.skipped))
    for record in recording.last_samples():
        last_s = max(last_s, record.at.mono_s - origin_s)
    for each in shots.values():
        each.sort(key=lambda shot: shot.at_s)
    return shots, skipped, last_s


def _engine(
    plan: EnginePlan, shots: Sequence[Shot], skipped: Sequence[str], from_s: float | None, to_s: float | None
) -> dict[str, Any]:  # fmt: skip
    name = plan.config.name
    wanted = plan.load.start_s if from_s is None else from_s, plan.load.end_s if to_s is None else to_s
    within_s = WITHIN_PERIODS * (plan.snapshot_every_s or 0.0)
    ends = [[shot for shot in shots if abs(shot.at_s - moment) <= within_s] for moment in wanted]
    if plan.snapshot_every_s is None:
        return {"name": name, "why": "no snapshots were taken of it (run.snapshot_every, or collect_every = off)"}
    if not shots:
        return {"name": name, "why": f"no snapshot was taken ({len(skipped)} skipped: {_most_common(skipped)})"}
    for near, moment in zip(ends, wanted, strict=True):
        if not near:
            nearest = min(shots, key=lambda shot: abs(shot.at_s - moment))
            why = (
                f"no snapshot within {format_duration(within_s)} of {format_duration(moment)}, "
                f"the nearest is at {format_duration(nearest.at_s)}"
            )
            return {"name": name, "why": why}
    before, after = min(
        ((one, other) for one in ends[0] for other in ends[1]), key=lambda pair: _unfit(pair[0], pair[1], wanted)
    )
    if before.at_s >= after.at_s:
        return {"name": name, "why": f"only one snapshot there, at {format_duration(before.at_s)}"}
    return _compare(plan, before, after, wanted)


def _most_common(reasons: Sequence[str]) -> str:
    return max(sorted(set(reasons)), key=reasons.count, default="no reason given")


def _unfit(before: Shot, after: Shot, wanted: tuple[float, float]) -> tuple[bool, bool, bool, float]:
    """Return a key that sorts pairs: in order of time first, then of one life, one method, and near to the moments."""
    return (
        before.at_s >= after.at_s,
        before.segment != after.segment,
        before.heap.method != after.heap.method,
        abs(before.at_s - wanted[0]) + abs(after.at_s - wanted[1]),
    )


def _compare(plan: EnginePlan, before: Shot, after: Shot, wanted: tuple[float, float]) -> dict[str, Any]:
    same_life, same_way = before.segment == after.segment, before.heap.method == after.heap.method
    notes = [] if same_life else ["the process was another one: containers are known by their names only"]
    if not same_way:
        ways = f"{before.heap.method}, then {after.heap.method}"
        notes.append(f"the heap was counted in different ways ({ways}): types are not compared")
    if CLOSED in (phases := (_phase(plan, before.at_s), _phase(plan, after.at_s))):
        notes.append("the engine is closed in the close phase")
    return {
        "name": plan.config.name,
        "from": _head(before, wanted[0], phases[0]), "to": _head(after, wanted[1], phases[1]),
        "types": list(_types(before.heap, after.heap)) if same_way else [],
        "containers": list(_containers(before.heap, after.heap, same_life=same_life)),
        "notes": notes,
    }  # fmt: skip


def _phase(plan: EnginePlan, at_s: float) -> str:
    return next((phase.name for phase in plan.phases if at_s < phase.end_s), plan.phases[-1].name)


def _head(shot: Shot, asked_s: float, phase: str) -> dict[str, Any]:
    facts = {"method": shot.heap.method, "objects": shot.heap.objects, "bytes": shot.heap.bytes}
    at_s = round(shot.at_s, 3)
    return {"asked_s": round(asked_s, 3), "at_s": at_s, "phase": phase, "segment": shot.segment, **facts}


def _types(before: Heap, after: Heap) -> Iterator[dict[str, Any]]:
    """Yield the types that hold more bytes than before, by how many."""
    old = {row.type: row for row in before.types}
    whole = sum(row.bytes for row in before.types) >= (before.bytes or 0)
    least = 0 if whole else min((row.bytes for row in before.types), default=0)
    rows: list[dict[str, Any]] = []
    for row in after.types:
        known = old.get(row.type, HeapType(type=row.type, count=0, bytes=0) if whole else None)
        grew = row.bytes - (least if known is None else known.bytes)
        if grew > 0:
            rows.append({
                "type": row.type, "grew_bytes": grew, "to_bytes": row.bytes, "to_count": row.count,
                **({"at_least": True} if known is None else {
                    "from_bytes": known.bytes, "from_count": known.count, "grew_count": row.count - known.count,
                }),
            })  # fmt: skip
    yield from sorted(rows, key=lambda row: (-row["grew_bytes"], row["type"]))


def _containers(before: Heap, after: Heap, *, same_life: bool) -> Iterator[dict[str, Any]]:
    """Yield the containers that are longer than before, by how many entries."""
    old = {_identity(row, same_life): row for row in before.containers}
    shortest = min((row.length for row in before.containers), default=0)
    rows: list[dict[str, Any]] = []
    for row in after.containers:
        if (identity := _identity(row, same_life)) is None:
            continue
        known = old.get(identity)
        grew = row.length - (shortest if known is None else known.length)
        if grew > 0:
            optional: dict[str, Any] = {"name": row.name, "id": row.id, "grew_length": grew, "to_length": row.length,
                        "to_bytes": row.bytes}  # fmt: skip
            rows.append({
                "type": row.type, **{key: value for key, value in optional.items() if value is not None},
                **({"at_least": True} if known is None else _before(known, row)),
            })  # fmt: skip
    yield from sorted(rows, key=lambda row: (-row["grew_length"], row["type"], row.get("id", 0)))


def _before(known: Container, row: Container) -> dict[str, Any]:
    found = {"from_length": known.length}
    if known.bytes is not None and row.bytes is not None:
        found |= {"from_bytes": known.bytes, "grew_bytes": row.bytes - known.bytes}
    return found


def _identity(row: Container, same_life: bool) -> tuple[str, int | str | None] | None:
    """Return the identity of a container: its address within one life, its name across two; None where it has none."""
    if same_life:
        return row.type, row.id
    return None if row.name is None else (row.type, row.name)
