"""Checks as tables: the whole run at a glance, and every check of one engine."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from soakd.live.status.parts import SEVERITY, worst
from soakd.report.html.charts import growth_words, state_badge
from soakd.report.html.markup import Html, join, table, tag, text
from soakd.verdict.check import is_deciding
from soakd.verdict.rows import CheckRow, engine_rows
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


def checks_table(rows: Sequence[CheckRow]) -> Html:
    """Write checks with their estimate, interval, limit and least detectable rate."""
    heads = ("check", "verdict", "measured", "limit", "would have been seen", "why")
    return table(heads, (_row(row) for row in rows), class_="checks")


def engine_checks(engine: Entry) -> Iterator[Html]:
    """Write the checks of an engine: those that decide, and the informational ones in a details element."""
    rows = engine_rows(engine)
    deciding = [row for row in rows if not row.informational]
    others = [row for row in rows if row.informational]
    if deciding:
        yield checks_table(sorted(deciding, key=lambda row: _severity(row.verdict)))
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
    role = engine.get("role")
    if role == "control":
        return Html()
    open_ = [c for c in engine.get("checks") or () if not c.get("informational") and c.get("verdict") != "PASS"]
    open_.sort(key=lambda check: _severity(str(check.get("verdict"))))
    named = [str(c.get("id")) + ("" if is_deciding(c, role) else " (informational)") for c in open_]
    more = [tag("small", f"and {len(named) - MOST_NAMED} more")] if len(named) > MOST_NAMED else []
    return join([*(tag("small", name) for name in named[:MOST_NAMED]), *more])


def _severity(state: str) -> int:
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
    aside = not any(is_deciding(c, engine.get("role")) for c in found)
    count = sum(c.get("verdict") == state for c in found)
    of = f"{count} of {len(found)}" if count != len(found) else f"{len(found)}"
    return tag("td", state_badge(state), " ", tag("small", of), title=said, class_="aside" if aside else None)


def _row(row: CheckRow) -> Iterator[str | Html]:
    yield tag("th", row.id, tag("small", "informational") if row.informational else "", scope="row")
    badge = state_badge(CALM.get(row.state, row.verdict), None if row.waived else row.state)
    yield tag("td", badge, class_="aside" if row.informational else None)
    yield row.estimate or ("" if row.verdict == "PASS" else "not measured")
    yield row.limit
    yield row.detectable
    known = f"known and waived: {', '.join(row.waived)}" if row.waived else ""
    yield tag("td", "; ".join(filter(None, (known, row.reason))), class_="why")


def leak_words(engine: Entry) -> str:
    """Write the leak check of an engine as one line."""
    checks = {str(check.get("id")): check for check in engine.get("checks") or ()}
    found = leak_check(checks)
    return growth_words(found) if found else f"no check of {', '.join(LEAK_CHECKS)}"
