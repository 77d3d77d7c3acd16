"""The verdict as Markdown, to paste into a release checklist."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from soakd.plaintext import escaped
from soakd.units import format_duration
from soakd.verdict.rows import CheckRow, engine_rows, run_rows
from soakd.verdict.site_words import growth_words, share_words
from soakd.verdict.wording import figure_name, figure_words, ratio_words
from soakd.wire.sites import decode_all

MARKS = {
    "PASS": "pass",
    "FAIL": "**FAIL**",
    "INCONCLUSIVE": "inconclusive",
    "INVALID": "**INVALID**",
    "INCOMPLETE": "incomplete",
    "GROWS": "**GROWS**",
    "MISSED": "**MISSED**",
}


CONTROL = re.compile(r"([\\`*_{}\[\]<>|#&~])")


def plain(text: object) -> str:
    """Escape text for one line of Markdown: no new line, no markup, no cell of a table."""
    return CONTROL.sub(r"\\\1", " ".join(str(text).split()))


def markdown(verdict: Mapping[str, Any]) -> str:
    """Write the summary: the sentence, one table per engine, and what the run could not see."""
    return "\n".join(map(escaped, _lines(verdict))) + "\n"


def _lines(verdict: Mapping[str, Any]) -> Iterator[str]:
    run = verdict.get("run", {})
    yield f"# soakd: {verdict['verdict']}"
    yield ""
    yield f"{plain(verdict['summary'])}."
    yield ""
    if run:
        seen, planned = format_duration(run["observed_seconds"]), format_duration(run["planned_seconds"])
        seen = f"{seen} of {planned}, coverage {run['coverage_ratio']:.1%}"
        yield f"Run `{verdict['run_id']}`, started {run['started_at']}, {seen}."
        yield f"Configuration sha256 `{run['config_sha256']}`, commit `{run['git_commit'] or 'unknown'}`."
        yield ""
    differ = len({interpreter(engine) for engine in verdict.get("engines", [])} - {None}) > 1
    for engine in verdict.get("engines", []):
        yield f"## {plain(engine['name'])}: {MARKS[engine['verdict']]} ({engine['role']}, {plain(engine['kind'])})"
        yield ""
        yield f"{plain(engine['reason'])}."
        yield ""
        if differ and (which := interpreter(engine)) is not None:
            yield f"{plain(which)}."
            yield ""
        for server in engine.get("servers", []):
            judged = "informational" if server.get("informational") else "judged"
            yield f"Server: {MARKS[server['verdict']]} ({judged}). {server['reason']}."
            yield ""
        yield from table(engine_rows(engine))
        yield ""
        yield from sites(engine)
    if verdict.get("checks"):
        yield "## The run"
        yield ""
        yield from table(run_rows(verdict["checks"]))
        yield ""
    yield from waivers(verdict.get("waivers", []))
    for comparison in verdict.get("comparisons", []):
        yield from compared(comparison)
        yield ""
    for sentence in verdict.get("visibility", []):
        yield f"- {plain(sentence)}"


def interpreter(engine: Mapping[str, Any]) -> str | None:
    """Return the interpreter of the last life, "Python 3.12.3, /opt/venv/bin/python"; None where it is not known."""
    last = engine["segments"][-1] if engine["segments"] else {}
    return f"Python {last['python']}, {last['executable']}" if "python" in last and "executable" in last else None


def sites(engine: Mapping[str, Any]) -> Iterator[str]:
    """Write the sites of an engine as a Markdown table, and the looks that failed."""
    found = decode_all(engine.get("attribution") or [])
    if found:
        yield "| site | growth | share | kept in | confidence | fingerprint |"
        yield "|---|---|---|---|---|---|"
        for site in found:
            cells = (site.place, growth_words(site), share_words(site), ", ".join(site.held_by), site.confidence,
                     site.fingerprint)  # fmt: skip
            yield f"| {' | '.join(plain(cell) or '-' for cell in cells)} |"
        yield ""
    for look in engine.get("looks", []):
        if look["state"] == "failed":
            yield f"A deep look ({plain(look['route'])}) failed: {plain(look.get('why', ''))}."
            yield ""
        if "note" in look:
            yield f"A deep look ({plain(look['route'])}): {plain(look['note'])}."
            yield ""


def waivers(fates: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Write the waivers as a Markdown table."""
    if not fates:
        return
    yield "## Waivers"
    yield ""
    yield "| waiver | state | of | reason | expires | why |"
    yield "|---|---|---|---|---|---|"
    for fate in fates:
        places = [f"{each['engine']} {each['check']}" for each in (*fate.get("covers", []), *fate.get("beyond", []))]
        why = [each["why"] for each in fate.get("beyond", [])] + ([fate["why"]] if "why" in fate else [])
        cells = (fate["name"], fate["state"], ", ".join(places), fate["reason"], fate["expires"], "; ".join(why))
        yield f"| {' | '.join(plain(cell) or '-' for cell in cells)} |"
    yield ""


def compared(comparison: Mapping[str, Any]) -> Iterator[str]:
    """Write a rival or twin beside its subject as a Markdown table."""
    subject, other = comparison["subject"], comparison["other"]
    yield f"## {other} beside {subject}"
    yield ""
    yield "Driven by the same operations." if comparison["same_tape"] else f"Note: {comparison['note']}."
    if "missing" in comparison:
        yield f"Missing: {comparison['missing']}."
    yield ""
    yield f"| figure | {subject} | {other} | ratio |"
    yield "|---|---|---|---|"
    for figure in comparison["figures"]:
        sides = (figure_words(figure, side) for side in ("subject", "other"))
        yield f"| {figure_name(figure)} | {' | '.join(sides)} | {ratio_words(figure) or '-'} |"


def table(rows: Sequence[CheckRow]) -> Iterator[str]:
    """Write checks as the rows of a Markdown table."""
    yield "| check | verdict | measured | limit | why |"
    yield "|---|---|---|---|---|"
    for row in rows:
        aside = " (known)" if row.waived else " (informational)" if row.informational else ""
        cells = (plain(row.id) + aside, _mark(row), row.estimate or "-", row.limit or "-", plain(row.reason))
        yield f"| {' | '.join(cells)} |"


def _mark(row: CheckRow) -> str:
    """Return a state; a failing one that decides, or did before a waiver, is bold."""
    if row.informational:
        return plain(row.verdict.lower())
    word = row.verdict if row.waived else row.state
    return MARKS.get(word, plain(word))
