"""The verdict as Markdown, to paste into a release checklist."""

import re
from collections.abc import Iterator, Sequence

from soakd.plaintext import escaped
from soakd.units import format_duration
from soakd.verdict.rows import CheckRow, engine_rows, run_rows
from soakd.verdict.site_words import growth_words, look_words, share_words
from soakd.verdict.types import Comparison, EngineVerdict, RunFacts, Verdict, WaiverFate
from soakd.verdict.wording import figure_name, figure_words, ratio_words

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


def markdown(verdict: Verdict) -> str:
    """Write the summary: the sentence, one table per engine, and what the run could not see."""
    return "\n".join(map(escaped, _lines(verdict))) + "\n"


def _lines(verdict: Verdict) -> Iterator[str]:
    yield f"# soakd: {verdict.verdict}"
    yield ""
    yield f"{plain(verdict.summary)}."
    yield ""
    if verdict.run is not None:
        yield from _run(verdict.run_id, verdict.run)
    differ = len({interpreter(engine) for engine in verdict.engines} - {None}) > 1
    for engine in verdict.engines:
        yield f"## {plain(engine.name)}: {MARKS[engine.verdict]} ({engine.role}, {plain(engine.kind)})"
        yield ""
        yield f"{plain(engine.reason)}."
        yield ""
        if differ and (which := interpreter(engine)) is not None:
            yield f"{plain(which)}."
            yield ""
        for server in engine.servers:
            judged = "informational" if server.informational else "judged"
            yield f"Server: {MARKS[server.verdict]} ({judged}). {server.reason}."
            yield ""
        yield from table(engine_rows(engine))
        yield ""
        yield from sites(engine)
    if verdict.checks:
        yield "## The run"
        yield ""
        yield from table(run_rows(verdict.checks))
        yield ""
    yield from waivers(verdict.waivers)
    for comparison in verdict.comparisons:
        yield from compared(comparison)
        yield ""
    for sentence in verdict.visibility:
        yield f"- {plain(sentence)}"


def _run(run_id: str, run: RunFacts) -> Iterator[str]:
    seen, planned = (format_duration(seconds or 0.0) for seconds in (run.observed_seconds, run.planned_seconds))
    coverage = "unknown" if run.coverage_ratio is None else f"{run.coverage_ratio:.1%}"
    yield f"Run `{run_id}`, started {run.started_at}, {seen} of {planned}, coverage {coverage}."
    yield f"Configuration sha256 `{run.config_sha256}`, commit `{run.git_commit or 'unknown'}`."
    yield ""


def interpreter(engine: EngineVerdict) -> str | None:
    """Return the interpreter of the last life, "Python 3.12.3, /opt/venv/bin/python"; None where it is not known."""
    last = engine.segments[-1] if engine.segments else None
    if last is None or last.python is None or last.executable is None:
        return None
    return f"Python {last.python}, {last.executable}"


def sites(engine: EngineVerdict) -> Iterator[str]:
    """Write the sites of an engine as a Markdown table, and the looks that failed."""
    if engine.attribution:
        yield "| site | growth | share | kept in | confidence | fingerprint |"
        yield "|---|---|---|---|---|---|"
        for site in engine.attribution:
            cells = (site.place, growth_words(site), share_words(site), ", ".join(site.held_by), site.confidence,
                     site.fingerprint)  # fmt: skip
            yield f"| {' | '.join(plain(cell) or '-' for cell in cells)} |"
        yield ""
    for words in (words for look in engine.looks for words in look_words(look)):
        yield f"{plain(words[:1].upper() + words[1:])}."
        yield ""


def waivers(fates: Sequence[WaiverFate]) -> Iterator[str]:
    """Write the waivers as a Markdown table."""
    if not fates:
        return
    yield "## Waivers"
    yield ""
    yield "| waiver | state | of | reason | expires | why |"
    yield "|---|---|---|---|---|---|"
    for fate in fates:
        places = ", ".join(f"{each.engine} {each.check}" for each in (*fate.covers, *fate.beyond))
        cells = (fate.name, fate.state, places, fate.reason, fate.expires, "; ".join(fate.reasons))
        yield f"| {' | '.join(plain(cell) or '-' for cell in cells)} |"
    yield ""


def compared(comparison: Comparison) -> Iterator[str]:
    """Write a rival or twin beside its subject as a Markdown table."""
    subject, other = comparison.subject, comparison.other
    yield f"## {other} beside {subject}"
    yield ""
    yield "Driven by the same operations." if comparison.same_tape else f"Note: {comparison.note}."
    if comparison.missing is not None:
        yield f"Missing: {comparison.missing}."
    yield ""
    yield f"| figure | {subject} | {other} | ratio |"
    yield "|---|---|---|---|"
    for figure in comparison.figures:
        sides = f"{figure_words(figure, 'subject')} | {figure_words(figure, 'other')}"
        yield f"| {figure_name(figure)} | {sides} | {ratio_words(figure) or '-'} |"


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
