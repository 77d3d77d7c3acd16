"""Where engines grow, as lines: one per site, per deep look that failed, and per waiver that did not apply."""

from collections.abc import Iterator, Mapping
from typing import Any

from soakd.live.status import printable
from soakd.verdict.site_words import site_facts
from soakd.wire.sites import decode_all

SHOWN = 3
"""Sites shown per engine; the file has all."""


def site_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """Yield "my-engine grows at module.py:42 in handler: 98 %, 92 B/op, kept in list `seen` of ..."."""
    for engine in verdict.get("engines") or ():
        name = printable(engine.get("name"))
        for site in decode_all(engine.get("attribution") or [])[:SHOWN]:
            facts = ", ".join(map(printable, site_facts(site)))
            yield f"{name} grows at {printable(site.place)}{': ' if facts else ''}{facts}"
        for look in engine.get("looks") or ():
            if look.get("state") == "failed":
                yield f"{name}: a deep look ({printable(look.get('route'))}) failed: {printable(look.get('why') or '')}"
            if look.get("note"):
                yield f"{name}: a deep look ({printable(look.get('route'))}): {printable(look['note'])}"
    for fate in verdict.get("waivers") or ():
        if fate.get("state") != "used":
            why = [each.get("why") for each in fate.get("beyond") or ()] + [fate.get("why")]
            reasons = "; ".join(printable(reason, 1000) for reason in why if reason)
            yield f"waiver {printable(fate.get('name'))} is {printable(fate.get('state'))}: {reasons}"
