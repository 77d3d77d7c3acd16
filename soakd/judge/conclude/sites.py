"""Results of deep looks at one engine: sites ranked by the bytes they keep, with their share of the measured growth."""

import dataclasses
from collections.abc import Sequence

from soakd.judge.story.looks import stretches
from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check, round_number
from soakd.verdict.site_words import place_words
from soakd.verdict.types import LookEntry
from soakd.wire.records import Look
from soakd.wire.sites import MOST_TEXT, Site, distinct

MOST_SITES = 10
LEAST_SHARE = 0.02
"""The least share of the growth; sites with less are left out."""
GROWTH = ("growth.", "total_growth.")


def attribution(data: EngineData, checks: Sequence[Check]) -> list[Site]:
    """Rank the sites of all looks at an engine for the verdict file, each leak once.

    Sites of a light look count only if the growth failed: a warm-up that has ended since has no site.
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
    """List the looks that ended, each once, for the verdict file; a failed one has the reason."""
    ended = [look for look in data.looks if look.state != "begun"]
    # The results of its captures come in a second record of the same look; if none could be taken, the number is 0.
    last = {(look.segment, look.id or f"at {look.at.mono_s} {n}"): look for n, look in enumerate(ended)}
    return [_look(look) for look in last.values()]


def site_words(data: EngineData, check: Check) -> str:
    """Format ", at module.py:42 in handler, 98 % of the growth"; "" if no site was found."""
    ranked = attribution(data, [check])
    return f", {place_words(ranked[0])}" if ranked else ""


def _sites(data: EngineData, *, light: bool) -> list[tuple[Site, ...]]:
    """Return the sites of the looks of one kind, the last look first."""
    done = [look for look in data.looks if look.state == "done" and look.light is light]
    return [look.sites for look in sorted(done, key=lambda look: -look.at.mono_s)]


def _with_share(site: Site, growth: float | None) -> Site:
    """Complete a site for the verdict: rounded numbers, and its share of the growth if both were measured."""
    each, things = site.bytes_per_operation, site.things_per_operation
    share = None if each is None or not growth else round_number(min(1.0, each / growth), 3)
    return dataclasses.replace(
        site, bytes_per_operation=round_number(each), share=share, last_resort=False,
        things_per_operation=round_number(things) if things and things > 0 else None,
    )  # fmt: skip


def _weight(site: Site) -> tuple[float, float]:
    """Sort sites of descriptors, tasks and threads first: they are looked for only if those grow."""
    return -(site.things_per_operation or 0.0), -(site.bytes_per_operation or 0.0)


def _per_operation(check: Check) -> float | None:
    """Return the growth in a check, in bytes per operation."""
    each = check.per_operation
    return float(each) if each is not None and each > 0 else None


def _look(look: Look) -> LookEntry:
    """Return a look for the verdict file."""
    lasted_s = [round(max(0.0, until_s - from_s), 3) for from_s, until_s in stretches([look], 0.0)]
    types = [grown for grown in look.types if len(grown.type) <= MOST_TEXT]
    return LookEntry(
        route=look.route, state=look.state, why=look.why and look.why[:MOST_TEXT],
        note=look.note and look.note[:MOST_TEXT], operations=look.operations,
        types=tuple(types[:MOST_SITES]),
        seconds=lasted_s[-1] if lasted_s else None,
    )  # fmt: skip
