"""Text for call sites, shared by terminal, status page, Markdown, HTML and the verdict's summary."""

from collections.abc import Iterator

from soakd.verdict.types import LookEntry
from soakd.verdict.wording import quantity_words
from soakd.wire.sites import Site


def place_words(site: Site) -> str:
    """Format "at shop.py:42 in add (kept in list `seen` of ...), 98% of the growth"."""
    held = f" (kept in {site.held_by[0]})" if site.held_by and not site.is_container else ""
    share = f", {share_words(site)} of the growth" if site.share is not None else ""
    return f"{'kept in' if site.is_container else 'at'} {site.place}{held}{share}"


def growth_words(site: Site) -> str:
    """Format its growth per operation: "392 B/op", "0.04/op"; empty if not measured."""
    return gain_words(site.bytes_per_operation, site.things_per_operation)


def gain_words(each: float | None, things: float | None) -> str:
    """Do the same from the two numbers."""
    parts = [quantity_words(each, "bytes/operation")] if each is not None else []
    return ", ".join([*parts, *([f"{things:.3g}/op"] if things is not None else [])])


def share_words(site: Site) -> str:
    """Format its share of the growth: "98%"; empty if not known."""
    return "" if site.share is None else f"{site.share:.0%}"


def site_facts(site: Site) -> Iterator[str]:
    """Yield the known facts about a site apart from its place, the most important first."""
    if site.share is not None:
        yield f"{share_words(site)} of the growth"
    if growth := growth_words(site):
        yield growth
    yield from (f"runs {name}" for name in site.runs[:1])
    yield from (f"kept in {holder}" for holder in site.held_by[:1] if holder != site.place)
    if site.confidence != "high":
        yield f"confidence {site.confidence}"
    if site.known:
        yield f"known: {site.known}"


def look_words(look: LookEntry) -> Iterator[str]:
    """Yield what a deep look could not do: "a deep look (native) failed: No module named 'memray'"."""
    if look.state == "failed":
        yield f"a deep look ({look.route}) failed: {look.why or 'no reason given'}"
    if look.note:
        yield f"a deep look ({look.route}): {look.note}"
