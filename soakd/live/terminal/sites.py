"""Where engines grow, as lines: one a site, one a deep look that failed, one a waiver that was of no use."""

from collections.abc import Iterator, Mapping
from typing import Any

from soakd.live.status import printable

SHOWN = 3
"""Sites of one engine; the file has all."""


def site_lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    """Yield "my-engine grows at module.py:42 in handler: 98 %, 92 B/op, kept in list `seen` of ..."."""
    for engine in verdict.get("engines") or ():
        name = printable(engine.get("name"))
        for site in (engine.get("attribution") or ())[:SHOWN]:
            yield f"{name} grows at {printable(site.get('site'))}{_facts(site)}"
        for look in engine.get("looks") or ():
            if look.get("state") == "failed":
                yield f"{name}: a deep look ({printable(look.get('route'))}) failed: {printable(look.get('why') or '')}"
            if look.get("note"):
                yield f"{name}: a deep look ({printable(look.get('route'))}): {printable(look['note'])}"
    for fate in verdict.get("waivers") or ():
        if fate.get("state") != "used":
            why = [each.get("why") for each in fate.get("beyond") or ()] + [fate.get("why")]
            told = "; ".join(printable(reason, 1000) for reason in why if reason)
            yield f"waiver {printable(fate.get('name'))} is {printable(fate.get('state'))}: {told}"


def _facts(site: Mapping[str, Any]) -> str:
    facts = [f"{site['share']:.0%}"] if "share" in site else []
    facts += [f"{site['bytes_per_operation']:.3g} B/op"] if "bytes_per_operation" in site else []
    facts += [f"{site['things_per_operation']:.3g}/op"] if "things_per_operation" in site else []
    facts += [f"runs {printable(name)}" for name in (site.get("runs") or ())[:1]]
    facts += [
        f"kept in {printable(holder)}" for holder in (site.get("held_by") or ())[:1] if holder != site.get("site")
    ]
    facts += [f"known: {printable(site['known'])}"] if site.get("known") else []
    return f": {', '.join(facts)}" if facts else ""
