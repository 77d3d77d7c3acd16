"""What deep looks have found in one engine: sites ranked by what they keep, with their share of the measured growth."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from soakd.judge.story.looks import HELD, HOLDERS, is_texts, stretches
from soakd.judge.story.readings import is_number
from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check, is_failing, round_number
from soakd.wire.records import Record

MOST_SITES = 10
MOST_TEXT = 500
MOST_FRAMES = 40
TYPE_NUMBERS = ("per_operation", "bytes_per_operation")
LEAST_SHARE = 0.02
"""Of the growth; less is left out."""
GROWTH = ("growth.", "total_growth.")


def attribution(data: EngineData, checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Rank the sites of all looks at an engine, each fingerprint once, for the verdict file.

    What a suspicion has seen is told only where the growth failed: a warm-up that has ended since has no site.
    """
    grows = any(c.id.startswith(GROWTH) and is_failing(c) for c in checks)
    growth = next(
        (g for c in checks if c.id.startswith(f"growth.{data.leak_signal}") and (g := _per_operation(c))), None
    )
    found: dict[str, Mapping[str, Any]] = {}
    for look in sorted(data.looks, key=lambda record: (bool(record.body.get("light")), -record.at.mono_s)):
        light = bool(look.body.get("light"))
        if look.body["state"] == "done" and (not light or (grows and not found)):
            for name, site in _merged(look.body.get("sites", [])).items():
                found.setdefault(name, site)
    entries = [_entry(site, growth) for site in _without_named(found.values())]
    entries = [entry for entry in entries if entry.get("share", 1.0) >= LEAST_SHARE]
    return sorted(entries, key=_weight)[:MOST_SITES]


def looks(data: EngineData) -> list[dict[str, Any]]:
    """List the looks that ended, each once, for the verdict file: one that failed says why."""
    ended = [look for look in data.looks if look.body["state"] != "begun"]
    # What its captures say comes in a second record of the same look; where none could be taken, the number is 0.
    last = {
        (look.segment, str(look.body.get("id") or f"at {look.at.mono_s} {n}")): look for n, look in enumerate(ended)
    }
    return [
        {"route": look.body["route"], "state": look.body["state"], **dict(_optional(look))} for look in last.values()
    ]  # fmt: skip


def site_words(data: EngineData, check: Check) -> str:
    """Write ", at module.py:42 in handler, 98 % of the growth"; "" where no site was found."""
    ranked = attribution(data, [check])
    if not ranked:
        return ""
    first = ranked[0]
    held = f" (kept in {first[HELD][0]})" if first.get(HELD) and first["tool"] != HOLDERS else ""
    share = f", {first['share']:.0%} of the growth" if "share" in first else ""
    place = "kept in" if first["tool"] == HOLDERS else "at"
    return f", {place} {first['site']}{held}{share}"


def _entry(site: Mapping[str, Any], growth: float | None) -> dict[str, Any]:
    each = site.get("bytes_per_operation")
    share = {"share": round_number(min(1.0, each / growth), 3)} if each is not None and growth else {}
    entry: dict[str, Any] = {"fingerprint": site["fingerprint"][:64], "site": site["site"][:MOST_TEXT]}
    entry["frames"] = [frame[:MOST_TEXT] for frame in (site.get("frames") or [])[:MOST_FRAMES]]
    if each is not None:
        entry["bytes_per_operation"] = round_number(each)
    entry |= share
    if is_number(things := site.get("things_per_operation", 0.0)) and things > 0:
        entry["things_per_operation"] = round_number(things)
    runs = site.get("runs")
    if runs is not None and is_texts(runs):
        entry["runs"] = [name[:MOST_TEXT] for name in runs[:MOST_SITES]]
    if site.get(HELD):
        entry[HELD] = [holder[:MOST_TEXT] for holder in site[HELD][:MOST_SITES]]
    return entry | {"confidence": str(site.get("confidence", "low")), "tool": str(site.get("tool", "")), "known": None}


def _without_named(sites: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Leave out a container that one look has named where another has named the line that fills it."""
    known = list(sites)
    filled = {holder for site in known if site.get("tool") != HOLDERS for holder in site.get(HELD) or ()}
    yield from (site for site in known if site.get("tool") != HOLDERS or site["site"] not in filled)


def _merged(sites: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Add up the lines of one function, which have one fingerprint; the first one stands for them."""
    merged: dict[str, Mapping[str, Any]] = {}
    for site in sites:
        name = site["fingerprint"]
        each = [s["bytes_per_operation"] for s in (merged.get(name), site) if s and s.get("bytes_per_operation")]
        merged[name] = {**site, **merged.get(name, {}), **({"bytes_per_operation": sum(each)} if each else {})}
    return merged


def _weight(entry: Mapping[str, Any]) -> tuple[float, float]:
    """Sort what makes descriptors, tasks and threads first: it is looked for only where they are what grows."""
    return -entry.get("things_per_operation", 0.0), -entry.get("bytes_per_operation", 0.0)


def _per_operation(check: Check) -> float | None:
    """Return the growth that a check found, in bytes per operation."""
    each = check.estimate if check.unit == "bytes/operation" else check.more.get("per_operation")
    return float(each) if each is not None and is_number(each) and each > 0 else None


def _optional(look: Record) -> Iterator[tuple[str, Any]]:
    """Give what a look tells besides, as pairs."""
    body = look.body
    if isinstance(why := body.get("why"), str):
        yield "why", why[:MOST_TEXT]
    if isinstance(note := body.get("note"), str):
        yield "note", note[:MOST_TEXT]
    if isinstance(operations := body.get("operations"), list):
        yield "operations", [n for n in operations if is_number(n)]
    if types := [entry for entry in body.get("types") or () if _is_type(entry)]:
        yield "types", types[:MOST_SITES]
    for from_s, until_s in stretches([look], 0.0):
        yield "seconds", round(max(0.0, until_s - from_s), 3)


def _is_type(entry: object) -> bool:
    """Tell whether an entry says how many objects of a type, and how many bytes, an operation leaves."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or len(entry["type"]) > MOST_TEXT:
        return False
    return entry.keys() == {"type", *TYPE_NUMBERS} and all(is_number(entry[name]) for name in TYPE_NUMBERS)
