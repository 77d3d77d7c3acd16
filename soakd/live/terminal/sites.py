"""Where engines grow, as lines: one per site, per deep look that failed, and per waiver that did not apply."""

from collections.abc import Iterator, Sequence

from soakd.live.status import printable
from soakd.verdict.site_words import look_words, site_facts
from soakd.verdict.types import Verdict
from soakd.wire.sites import Site

SHOWN = 3
"""Sites shown per engine; the file has all."""


def site_lines(verdict: Verdict) -> Iterator[str]:
    """Yield "my-engine grows at module.py:42 in handler: 98 %, 92 B/op, kept in list `seen` of ..."."""
    for engine in verdict.engines:
        name = printable(engine.name)
        yield from growth_lines(name, engine.attribution)
        yield from (f"{name}: {printable(words, 1000)}" for look in engine.looks for words in look_words(look))
    for fate in verdict.waivers:
        if fate.state != "used":
            reasons = "; ".join(printable(reason, 1000) for reason in fate.reasons)
            yield f"waiver {printable(fate.name)} is {printable(fate.state)}: {reasons}"


def growth_lines(name: str, sites: Sequence[Site]) -> Iterator[str]:
    """Yield the same for the sites of one engine."""
    for site in sites[:SHOWN]:
        facts = ", ".join(map(printable, site_facts(site)))
        yield f"{name} grows at {printable(site.place)}{': ' if facts else ''}{facts}"
