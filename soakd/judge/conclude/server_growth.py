"""Classifies growth in a server, as opposed to growth in its client."""

from collections.abc import Sequence

from soakd.judge.conclude.classes import Class, growth_words
from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check, growth_check
from soakd.verdict.severity import is_of_the_server, worst
from soakd.verdict.types import ServerVerdict

LEAK = "server_leak"
CALM = ("flat", "warm_up")
"""Classes of a client that is unrelated to its server's growth."""
FOLLOWS = {"operations": "with operations rather than time", "time": "with time rather than operations"}


def classify_server(data: EngineData, client: Class, checks: Sequence[Check]) -> Class | None:
    """Classify growth in the server of an engine: "server_leak", or the reason why not; None without a server.

    Args:
        data: the engine.
        client: the class of the engine that talks to it.
        checks: of the engine, including those of its server.
    """
    server = data.server
    if server is None:
        return None
    by_id = {check.id: check for check in checks}
    live, resident = (growth_check(by_id, signal) for signal in ("server_live_bytes", "server_rss_anon_bytes"))
    beside = "its client is flat" if client.name in CALM else f"its client is {client.name.replace('_', ' ')}"
    name = f"the server {server.kind}" + (f" {server.version}" if server.version else "")
    for check, signal in ((live, "server_live_bytes"), (resident, "server_rss_anon_bytes")):
        if check is not None and check.is_failing:
            what = "a leak in the server"
            if signal == "server_rss_anon_bytes":
                what = "a leak in the server, or memory that it does not give back"
                if live is not None and live.answer == "PASS":
                    what = "its live memory is flat: fragmentation, or memory that the server does not give back"
            follows = FOLLOWS.get(str(check.growth and check.growth.explained_by))
            words = growth_words(signal, check) + (f", {follows}" if follows else "")
            return Class(LEAK, f"{name} grows; {words}; {beside}: {what}")
    filling = next((c for c in (live, resident) if c is not None and c.is_cache_filling), None)
    if filling is not None:
        return Class("cache_filling", f"{name} grows; {filling.reason}: a cache that is still filling")
    return _quiet(name, live or resident)


def describe_server(data: EngineData, found: Class | None, checks: Sequence[Check]) -> ServerVerdict | None:
    """Describe the server of an engine for the verdict file; None if nothing was recorded of one.

    Args:
        data: the engine.
        found: the class of its server.
        checks: of the engine.
    """
    server = data.server
    if server is None or found is None:
        return None
    own = [check for check in checks if is_of_the_server(check.id)]
    return ServerVerdict(
        server=server.kind, version=server.version, address=server.address, backend=server.backend,
        read_from=server.read_from, verdict=worst([check.verdict for check in own]),
        informational=all(check.informational for check in own), growth_class=found.name, reason=found.sentence,
        segments=tuple(life.entry() for life in server.lives),
    )  # fmt: skip


def _quiet(name: str, check: Check | None) -> Class:
    if check is None or check.estimate is None:
        return Class("unknown", f"{name}: {check.reason if check and check.reason else 'too little was measured'}")
    if check.answer == "PASS":
        return Class("flat", f"{name} is flat within the limit")
    return Class("undecided", f"{name}: {check.reason}")
