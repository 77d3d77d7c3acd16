"""Checks as tables: the whole run at a glance, and every check of one engine."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from soakd.live.status.parts import SEVERITY, worst
from soakd.report.html.charts import growth_words, state_badge
from soakd.report.html.markup import Html, join, table, tag, text
from soakd.verdict.severity import may_decide
from soakd.verdict.wording import LEAK_CHECKS, control_word, leak_check, limit_words, quantity_words, value_words

Entry = Mapping[str, Any]

CALM = {"flat": "PASS", "caught": "PASS"}
"""A control that behaves is no bad news, whatever its check says."""
MOST_NAMED = 4

FAMILIES = {
    "growth": ("growth", "total_growth", "return_to_baseline"),
    "latency": ("latency", "response", "cascade"),
    "errors and rate": ("errors", "rate", "decisions"),
    "processor": ("cpu",),
    "stability": ("stability",),
    "recovery": ("recovery",),
    "evidence": ("evidence",),
}
"""Columns of the matrix, and what the names of their checks begin with."""


def glance(engines: Sequence[Entry], anchors: Mapping[str, str]) -> Html:
    """Write one row an engine: what it is, what was found, and the numbers of its leak check."""
    heads = ("engine", "role", "verdict", "growth", "limit", "would have been seen", "not passed")
    return table(heads, (_glance_row(engine, anchors) for engine in engines), class_="glance")


def matrix(engines: Sequence[Entry], anchors: Mapping[str, str]) -> Html:
    """Write a row an engine and a column a family of checks; rows of rivals are informational."""
    families = [f for f in FAMILIES if any(_of_family(e, f) for e in engines)]
    rows = ([_linked(engine, anchors), *(_family_cell(engine, family) for family in families)] for engine in engines)
    drawn = table(["engine", *families], rows, class_="matrix")
    if not any(engine.get("role") == "rival" for engine in engines):
        return drawn
    said = "Outlined: informational. Rivals are shown, and fail nobody's release."
    return join([drawn, tag("p", said, class_="meta")])


def checks_table(checks: Sequence[Entry]) -> Html:
    """Write checks with their estimate, interval, limit and least detectable rate."""
    heads = ("check", "verdict", "measured", "limit", "would have been seen", "why")
    return table(heads, (_row(check) for check in checks), class_="checks")


def engine_checks(engine: Entry) -> Iterator[Html]:
    """Write the checks of an engine: those that decide its verdict, and the others behind a door."""
    checks = engine.get("checks") or ()
    deciding = [c for c in checks if not c.get("informational") or c.get("waived")]
    others = [c for c in checks if c.get("informational") and not c.get("waived")]
    if deciding:
        yield checks_table(sorted(deciding, key=_by_severity))
    if others:
        summary = f"{len(others)} informational checks, which explain and do not decide"
        yield tag("details", tag("summary", summary), checks_table(others))


def _glance_row(engine: Entry, anchors: Mapping[str, str]) -> Iterator[str | Html]:
    checks = {str(check.get("id")): check for check in engine.get("checks") or ()}
    leak = leak_check(checks) or {}
    least = leak.get("minimum_detectable")
    yield _linked(engine, anchors)
    yield join([str(engine.get("role")), tag("small", str(engine.get("kind")))])
    word = control_word(str(engine.get("kind")), str(leak.get("verdict"))) if engine.get("role") == "control" else None
    yield state_badge(CALM.get(word or "", engine.get("verdict")), word)
    kind = str(engine.get("class", "")).replace("_", " ")
    yield join([value_words(leak) or "not measured", tag("small", kind)])
    yield limit_words(leak) or "none"
    yield "unknown" if least is None else quantity_words(least, str(leak.get("unit") or ""))
    yield _not_passed(engine)


def _not_passed(engine: Entry) -> Html:
    """Name the checks that decide for an engine and did not pass, the worst first."""
    if engine.get("role") == "control":
        return Html()
    open_ = [c for c in engine.get("checks") or () if not c.get("informational") and c.get("verdict") != "PASS"]
    named = [str(c.get("id")) for c in sorted(open_, key=_by_severity)]
    more = [tag("small", f"and {len(named) - MOST_NAMED} more")] if len(named) > MOST_NAMED else []
    return join([*(tag("small", name) for name in named[:MOST_NAMED]), *more])


def _by_severity(check: Entry) -> int:
    state = str(check.get("verdict"))
    return -SEVERITY.index(state) if state in SEVERITY else 0


def _linked(engine: Entry, anchors: Mapping[str, str]) -> Html:
    name = str(engine.get("name"))
    inner = tag("a", name, href=f"#{anchors[name]}") if name in anchors else text(name)
    return tag("th", inner, scope="row")


def _of_family(engine: Entry, family: str) -> list[Entry]:
    checks = engine.get("checks") or ()
    return [c for c in checks if not c.get("informational") and str(c.get("id")).partition(".")[0] in FAMILIES[family]]


def _family_cell(engine: Entry, family: str) -> Html:
    found = _of_family(engine, family)
    if not found:
        return tag("td", "none", class_="none")
    state = worst(str(check.get("verdict")) for check in found)
    said = "; ".join(f"{c.get('id')}: {c.get('verdict')}" for c in found)
    aside = not any(may_decide(str(engine.get("role")), str(c.get("id"))) for c in found)
    count = sum(c.get("verdict") == state for c in found)
    of = f"{count} of {len(found)}" if count != len(found) else f"{len(found)}"
    return tag("td", state_badge(state), " ", tag("small", of), title=said, class_="aside" if aside else None)


def _row(check: Entry) -> Iterator[str | Html]:
    least = check.get("minimum_detectable")
    yield tag("th", str(check.get("id")), scope="row")
    yield state_badge(check.get("verdict"))
    yield value_words(check) or ("" if check.get("verdict") == "PASS" else "not measured")
    yield limit_words(check)
    yield "" if least is None else quantity_words(least, str(check.get("unit") or ""))
    known = f"known and waived: {', '.join(map(str, check['waived']))}" if check.get("waived") else ""
    yield tag("td", "; ".join(filter(None, (known, str(check.get("reason") or "")))), class_="why")


def leak_words(engine: Entry) -> str:
    """Write the leak check of an engine as one line."""
    checks = {str(check.get("id")): check for check in engine.get("checks") or ()}
    found = leak_check(checks)
    return growth_words(found) if found else f"no check of {', '.join(LEAK_CHECKS)}"
