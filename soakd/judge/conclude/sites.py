"""What deep looks have found in one engine: sites ranked by what they keep, with their share of the measured growth."""

import dataclasses
from collections.abc import Sequence

from soakd.judge.story.looks import stretches
from soakd.judge.story.readings import is_number
from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check, round_number
from soakd.verdict.site_words import place_words
from soakd.verdict.types import LookEntry, TypeEntry
from soakd.wire.records import Record
from soakd.wire.sites import MOST_TEXT, Site, decode_all, distinct

MOST_SITES = 10
TYPE_NUMBERS = ("per_operation", "bytes_per_operation")
LEAST_SHARE = 0.02
"""Of the growth; less is left out."""
GROWTH = ("growth.", "total_growth.")


def attribution(data: EngineData, checks: Sequence[Check]) -> list[Site]:
    """Rank the sites of all looks at an engine, each leak once, for the verdict file.

    What a light look found counts only where the growth failed: a warm-up that has ended since has no site.
    """
    grows = any(c.id.startswith(GROWTH) and c.is_failing for c in checks)
    growth = next(
        (g for c in checks if c.id.startswith(f"growth.{data.leak_signal}") and (g := _per_operation(c))), None
    )
    found = distinct(_sites(data, light=False))
    if not found and grows:
        found = distinct([next(filter(None, _sites(data, light=True)), ())])
    sites = [_with_share(site, growth) for site in found]
    return sorted((site for site in sites if site.share is None or site.share >= LEAST_SHARE), key=_weight)[:MOST_SITES]


def looks(data: EngineData) -> list[LookEntry]:
    """List the looks that ended, each once, for the verdict file: one that failed says why."""
    ended = [look for look in data.looks if look.body["state"] != "begun"]
    # What its captures say comes in a second record of the same look; where none could be taken, the number is 0.
    last = {
        (look.segment, str(look.body.get("id") or f"at {look.at.mono_s} {n}")): look for n, look in enumerate(ended)
    }
    return [_look(look) for look in last.values()]


def site_words(data: EngineData, check: Check) -> str:
    """Write ", at module.py:42 in handler, 98 % of the growth"; "" where no site was found."""
    ranked = attribution(data, [check])
    return f", {place_words(ranked[0])}" if ranked else ""


def _sites(data: EngineData, *, light: bool) -> list[tuple[Site, ...]]:
    """Return what the looks of one kind have found, the last look first."""
    done = [look for look in data.looks if look.body["state"] == "done" and bool(look.body.get("light")) is light]
    return [decode_all(look.body.get("sites", [])) for look in sorted(done, key=lambda look: -look.at.mono_s)]


def _with_share(site: Site, growth: float | None) -> Site:
    """Finish a site for the verdict: readable numbers, and its share of the growth where both were measured."""
    each, things = site.bytes_per_operation, site.things_per_operation
    share = None if each is None or not growth else round_number(min(1.0, each / growth), 3)
    return dataclasses.replace(
        site, bytes_per_operation=round_number(each), share=share, last_resort=False,
        things_per_operation=round_number(things) if things and things > 0 else None,
    )  # fmt: skip


def _weight(site: Site) -> tuple[float, float]:
    """Sort what makes descriptors, tasks and threads first: it is looked for only where they are what grows."""
    return -(site.things_per_operation or 0.0), -(site.bytes_per_operation or 0.0)


def _per_operation(check: Check) -> float | None:
    """Return the growth that a check found, in bytes per operation."""
    each = check.per_operation
    return float(each) if each is not None and is_number(each) and each > 0 else None


def _look(look: Record) -> LookEntry:
    """Write a look for the verdict file."""
    body = look.body
    why, note, operations = body.get("why"), body.get("note"), body.get("operations")
    lasted_s = [round(max(0.0, until_s - from_s), 3) for from_s, until_s in stretches([look], 0.0)]
    return LookEntry(
        route=body["route"], state=body["state"], why=why[:MOST_TEXT] if isinstance(why, str) else None,
        note=note[:MOST_TEXT] if isinstance(note, str) else None,
        operations=tuple(n for n in operations if is_number(n)) if isinstance(operations, list) else None,
        types=tuple(TypeEntry(**entry) for entry in body.get("types") or () if _is_type(entry))[:MOST_SITES],
        seconds=lasted_s[-1] if lasted_s else None,
    )  # fmt: skip


def _is_type(entry: object) -> bool:
    """Tell whether an entry says how many objects of a type, and how many bytes, an operation leaves."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str) or len(entry["type"]) > MOST_TEXT:
        return False
    return entry.keys() == {"type", *TYPE_NUMBERS} and all(is_number(entry[name]) for name in TYPE_NUMBERS)
