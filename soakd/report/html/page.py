"""The report's page: the verdict's sentence first, for readers in a release meeting."""

from collections.abc import Iterator
from pathlib import Path

from soakd.report.html import run_facts
from soakd.report.html.charts import control_chart, judged_charts, leak_words, other_charts, subject
from soakd.report.html.checks import FAMILIES, family_cell, family_checks, leak_row, not_passed
from soakd.report.html.engine import engine_view
from soakd.report.html.markup import Html, join, state_badge
from soakd.report.html.material import Material
from soakd.report.html.rendering import render
from soakd.report.html.timeline import after_s, lanes, long_texts
from soakd.verdict.rows import run_rows

STYLE = Path(__file__).with_name("style.css")
BEFORE = {
    "glance": "At a glance", "seen": "What this run could see", "checks": "Checks that decide",
    "timeline": "What happened when",
}  # fmt: skip
AFTER = {
    "rivals": "Rivals and twins beside their subject", "known": "Known leaks", "faults": "Faults and recovery",
    "incidents": "Incidents", "evidence": "Evidence", "environment": "Environment",
    "again": "How to run and to judge it again",
}  # fmt: skip
"""Template -> title of the sections before and after those of the engines."""
MOST_INCIDENTS = 200


def page(material: Material) -> str:
    """Write the report of a run as one HTML file that needs nothing else."""
    verdict, curves, engines = material.verdict, material.curves, material.engines
    anchors = {engine.name: f"engine-{number}" for number, engine in enumerate(engines, 1)}
    there = {
        "glance": verdict.engines, "seen": verdict.visibility, "checks": engines, "timeline": engines,
        "rivals": verdict.comparisons, "known": verdict.waivers,
    }  # fmt: skip
    before, after = ({k: title for k, title in part.items() if there.get(k, True)} for part in (BEFORE, AFTER))
    controls = [engine.name for engine in material.controls]
    return render("page.html", {
        "verdict": verdict, "run": material.run, "material": material, "engines": engines, "anchors": anchors,
        "before": before, "after": after, "style": Html(STYLE.read_text(encoding="utf-8")), "version": material.version,
        "eyebrow": run_facts.eyebrow(material), "facts": run_facts.facts(material),
        "glance": [*engines, *material.controls], "leak_row": leak_row, "not_passed": not_passed,
        "families": [name for name in FAMILIES if any(family_checks(engine, name) for engine in engines)],
        "family_cell": family_cell, "lanes": lanes(curves, verdict.incidents, controls),
        "engine_view": lambda one: engine_view(one, subject(one, curves), material.flames.get(one.name, "")),
        "judged_charts": lambda subject: join(judged_charts(subject)),
        "other_charts": lambda subject: join(other_charts(subject)),
        "after_s": lambda incident: after_s(incident, curves), "long_texts": long_texts,
        "most_incidents": MOST_INCIDENTS, "run_rows": run_rows(verdict.checks),
        "controls": list(_controls(material)), "observer": run_facts.observer(verdict.observer),
        "exclusion_kinds": dict.fromkeys((each.what, each.why) for each in verdict.exclusions),
        "environment": run_facts.environment(material), "commands": run_facts.commands(material),
    })  # fmt: skip


def _controls(material: Material) -> Iterator[tuple[str, Html, Html | None]]:
    """Yield each control with what became of it, and its chart where it was recorded."""
    for engine in material.controls:
        note = join([state_badge(*run_facts.control_words(material.verdict, engine)), " ", leak_words(engine)])
        one = subject(engine, material.curves)
        yield engine.name, note, control_chart(one, note) if one is not None else None
