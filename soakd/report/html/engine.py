"""One engine of a run: what was found, its curves, where it grows, what its heap holds, its checks and lives."""

from collections.abc import Iterator, Mapping
from typing import Any

from soakd.report.curves.values import HeapComparison, Held
from soakd.report.html.charts import Subject, judged_charts, other_charts, state_badge
from soakd.report.html.checks import engine_checks
from soakd.report.html.markup import Html, join, table, tag
from soakd.units import format_count, format_duration
from soakd.verdict.site_words import growth_words, share_words
from soakd.verdict.wording import quantity_words
from soakd.wire.sites import Site, decode_all

Entry = Mapping[str, Any]

NO_SITES = "No call site is known: deep looks are taken of engines that fail by their growth, where time is left."


def section(entry: Entry, subject: Subject | None, anchor: str, flame: str) -> Html:
    """Write the section of one engine.

    Args:
        entry: its part of the verdict file.
        subject: its curves; None where nothing was recorded.
        anchor: the id of the section.
        flame: its call sites as markup of soakd's own; empty where there are none.
    """
    title = tag("h2", str(entry.get("name")), " ", state_badge(entry.get("verdict")))
    parts: list[Html] = [title, tag("p", " · ".join(_facts(entry)), class_="meta")]
    parts.append(tag("p", _sentence(str(entry.get("reason") or "nothing is known of it")), class_="reason"))
    parts += [tag("p", _server_words(server), class_="meta") for server in entry.get("servers") or ()]
    if subject is None:
        parts.append(tag("p", "Nothing was recorded of this engine.", class_="missing"))
    else:
        parts.append(tag("div", judged_charts(subject), class_="charts"))
    parts += _sites(entry, flame)
    if subject is not None:
        parts += [tag("h3", "Behaviour under load"), tag("div", other_charts(subject), class_="charts")]
        parts += _heap(subject.curves.heap, subject.curves.snapshots_failed)
    parts += [tag("h3", "Checks"), *engine_checks(entry), *_lives(entry)]
    return tag("section", parts, class_="engine", id=anchor)


def _facts(entry: Entry) -> Iterator[str]:
    yield str(entry.get("role"))
    yield str(entry.get("kind"))
    if (rate := entry.get("rate_per_second")) is not None:
        yield f"{quantity_words(rate, 'operations/second')} asked for"
    yield f"class {str(entry.get('class', 'unknown')).replace('_', ' ')}"
    lives = entry.get("segments") or ()
    if lives and "python" in lives[-1]:
        yield f"Python {lives[-1]['python']}"
    yield f"{len(lives)} {'life' if len(lives) == 1 else 'lives'} of its process"


def _server_words(server: Entry) -> Html:
    aside = "informational" if server.get("informational") else "judged"
    said = f" {aside}: {server.get('reason') or ''}"
    return join(["Its server: ", state_badge(server.get("verdict")), said])


def _sites(entry: Entry, flame: str) -> Iterator[Html]:
    """Write the call sites that grow; silent where nothing does."""
    sites = decode_all(entry.get("attribution") or [])
    failed = [look for look in entry.get("looks") or () if look.get("state") == "failed"]
    notes = [look for look in entry.get("looks") or () if look.get("note")]
    grows = any(
        c.get("verdict") == "FAIL" and str(c.get("id")).startswith("growth.") for c in entry.get("checks") or ()
    )
    if not (sites or failed or notes or grows or flame):
        return
    yield tag("h3", "Where it grows")
    if sites:
        heads = ("site", "growth", "share", "kept in", "confidence", "fingerprint")
        yield table(heads, (_site_row(site) for site in sites), class_="sites")
    elif not failed:
        yield tag("p", NO_SITES, class_="missing")
    if flame:
        yield tag("div", Html(flame), class_="flame")
    for look in failed:
        yield tag(
            "p",
            f"A deep look ({look.get('route')}) failed: {look.get('why') or 'no reason was told'}",
            class_="missing",
        )
    for look in notes:
        yield tag("p", f"A deep look ({look.get('route')}): {look['note']}", class_="missing")


def _site_row(site: Site) -> Iterator[str | Html]:
    stack = tag("details", tag("summary", f"{len(site.frames)} frames"), tag("ol", (tag("li", f) for f in site.frames)))
    beside = [f"runs {name}" for name in site.runs] + ([f"known: {site.known}"] if site.known else [])
    yield tag("td", tag("code", site.place), [tag("small", word) for word in beside], stack if site.frames else "")
    yield growth_words(site) or "not measured"
    yield share_words(site) or "unknown"
    yield ", ".join(site.held_by) or "unknown"
    yield site.confidence
    yield tag("td", tag("code", site.fingerprint))


def _heap(heap: HeapComparison | None, failed: int) -> Iterator[Html]:
    """Write what the heap held at first and at last."""
    yield tag("h3", "What the heap holds")
    gave_way = f" {failed} snapshots failed or gave way to other readings." if failed else ""
    if heap is None:
        yield tag("p", f"No two heap snapshots of one life to compare.{gave_way}", class_="missing")
        return
    window = format_duration(heap.window_s)
    yield tag(
        "p", f"The first {window} of load against the last, of the process that lived last: medians of {heap.first} "
        f"and {heap.last} snapshots ({heap.method}) between {format_duration(heap.from_s)} and "
        f"{format_duration(heap.until_s)}.{gave_way}", class_="meta",
    )  # fmt: skip
    columns = []
    if heap.types:
        rows = (_held_row(held, _bytes) for held in heap.types)
        columns.append(table(("type", "at first", "at last", "change", "objects"), rows, class_="numbers"))
    else:
        columns.append(tag("p", "No type's bytes changed by much.", class_="missing"))
    if heap.containers:
        rows = (_held_row(held, _count, counted=False) for held in heap.containers)
        columns.append(table(("container", "length at first", "at last", "change"), rows, class_="numbers"))
    else:
        columns.append(tag("p", "No container's length changed by much.", class_="missing"))
    yield tag("div", columns, class_="pair")


def _held_row(held: Held, write: Any, *, counted: bool = True) -> Iterator[str | Html]:
    change = held.change
    yield tag("th", held.name, scope="row")
    yield "not among the largest" if held.first is None else write(held.first)
    yield "not among the largest" if held.last is None else write(held.last)
    yield "unknown" if change is None else f"{'+' if change > 0 else ''}{write(change)}"
    if counted:
        before, after = held.first_count, held.last_count
        yield " to ".join("unknown" if count is None else _count(count) for count in (before, after))


def _bytes(count: float) -> str:
    return quantity_words(count, "bytes")


def _count(count: float) -> str:
    return format_count(round(count))


def _lives(entry: Entry) -> Iterator[Html]:
    lives = entry.get("segments") or ()
    if len(lives) < 2:
        return
    yield tag("h3", "Lives of its process")
    rows = (
        (str(life.get("segment")), str(life.get("pid")), str(life.get("started_at")),
         str(life.get("ended_at") or "unknown"), str(life.get("ended_by")).replace("_", " "))
        for life in lives
    )  # fmt: skip
    yield table(("life", "PID", "began", "ended", "by"), rows)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:] + ("" if words.endswith(".") else ".")
