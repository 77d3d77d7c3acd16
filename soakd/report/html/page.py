"""The page: what a reader of a release meeting sees, the sentence first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from soakd.report.html import parts
from soakd.report.html.charts import state_badge, subject
from soakd.report.html.checks import glance, matrix
from soakd.report.html.engine import section
from soakd.report.html.markup import Html, tag
from soakd.report.html.material import Material
from soakd.report.html.timeline import incidents_table, lanes

STYLE = Path(__file__).with_name("style.css")


def page(material: Material) -> str:
    """Write the report of a run as one HTML file that needs nothing else."""
    verdict = material.verdict
    title = f"{verdict.get('verdict')}: {verdict.get('run_id')}"
    head = tag(
        "head", tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        tag("title", title), tag("style", Html(STYLE.read_text(encoding="utf-8"))),
    )  # fmt: skip
    body = tag("body", _header(material), tag("main", _sections(material)), _footer(material))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _header(material: Material) -> Html:
    verdict = material.verdict
    run, state = verdict.get("run") or {}, str(verdict.get("verdict"))
    host = (run.get("host") or {}).get("name") or "an unknown host"
    started = str(run.get("started_at") or "").replace("T", " ").removesuffix("Z").partition(".")[0]
    when = f"began {started} UTC" if started else "never began"
    eyebrow = " · ".join(["soakd report", str(run.get("name") or verdict.get("run_id")), str(host), when])
    summary = str(verdict.get("summary") or "")
    return tag(
        "header", tag("p", eyebrow, class_="eyebrow"),
        tag("h1", state_badge(state), " ", tag("span", f"{summary}." if summary else "")),
        parts.facts(material), class_=f"top {state.lower()}",
    )  # fmt: skip


def _sections(material: Material) -> Iterator[Html]:
    verdict, curves = material.verdict, material.curves
    anchors = {str(e.get("name")): f"engine-{i}" for i, e in enumerate(material.engines, 1)}
    shown = [(key, title, body) for key, title, body in _before(material, anchors) if body]
    shown_after = [(key, title, body) for key, title, body in _after(material) if body]
    yield _contents([*((key, title) for key, title, _ in shown), *((a, n) for n, a in anchors.items()),
                     *((key, title) for key, title, _ in shown_after)])  # fmt: skip
    for key, title, body in shown:
        yield tag("section", tag("h2", title), body, id=key)
    for entry in material.engines:
        name = str(entry.get("name"))
        yield section(entry, subject(entry, curves), anchors[name], material.flames.get(name, ""))
    for key, title, body in shown_after:
        yield tag("section", tag("h2", title), body, id=key)
    if not verdict.get("engines"):
        yield tag("p", "The verdict names no engine: the run ended before anything could be judged.", class_="missing")


def _before(material: Material, anchors: dict[str, str]) -> Iterator[tuple[str, str, list[Html]]]:
    verdict = material.verdict
    engines = [*material.engines, *material.controls]
    seen = [tag("ul", (tag("li", str(line)) for line in verdict.get("visibility") or ()), class_="visible")]
    yield "glance", "At a glance", [glance(engines, anchors)] if engines else []
    yield "seen", "What this run could see", seen if verdict.get("visibility") else []
    yield "checks", "Checks that decide", [matrix(material.engines, anchors)] if material.engines else []
    incidents: Any = verdict.get("incidents") or ()
    controls = [str(entry.get("name")) for entry in material.controls]
    yield "timeline", "What happened when", [lanes(material.curves, incidents, controls)] if anchors else []


def _after(material: Material) -> Iterator[tuple[str, str, list[Html]]]:
    verdict, curves = material.verdict, material.curves
    yield "rivals", "Rivals and twins beside their subject", list(parts.comparisons(verdict))
    yield "known", "Known leaks", list(parts.waivers(verdict))
    yield "faults", "Faults and recovery", list(parts.faults(verdict))
    yield "incidents", "Incidents", list(incidents_table(verdict.get("incidents") or (), curves))
    controls = {str(entry.get("name")): subject(entry, curves) for entry in material.controls}
    yield "evidence", "Evidence", list(parts.evidence(material, controls))
    yield "environment", "Environment", list(parts.environment(material))
    yield "again", "How to run and to judge it again", list(parts.reproduce(material))


def _contents(entries: list[tuple[str, str]]) -> Html:
    return tag("nav", (tag("a", title, href=f"#{key}") for key, title in entries), aria_label="contents")


def _footer(material: Material) -> Html:
    schema = material.verdict.get("schema", "no schema")
    return tag(
        "footer", tag("p", f"Written by soakd {material.version} from the run's journal and verdict ({schema}).")
    )
