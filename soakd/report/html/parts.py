"""The parts of a report that are about the whole run: rivals, faults, evidence, environment, how to do it again."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from soakd.report.html.charts import Subject, control_chart, state_badge
from soakd.report.html.checks import CALM, checks_table, leak_words
from soakd.report.html.markup import Html, join, lines, table, tag
from soakd.report.html.material import Material
from soakd.units import format_count, format_duration
from soakd.verdict.rows import run_rows
from soakd.verdict.wording import control_word, figure_name, figure_words, quantity_words, ratio_words

Entry = Mapping[str, Any]

MOST_CONFIG = 60_000
MOST_SHARE = 100.0


def facts(material: Material) -> Html:
    """Write what kind of run it was, in a few figures."""
    run = material.verdict.get("run") or {}
    planned, seen = run.get("planned_seconds"), run.get("observed_seconds")
    coverage, roles = run.get("coverage_ratio"), [str(e.get("role")) for e in material.engines]
    faults, incidents = material.verdict.get("faults") or (), material.verdict.get("incidents") or ()
    restarts = sum(max(0, len(e.get("segments") or ()) - 1) for e in material.engines)
    late = sum(fault.get("verdict") == "FAIL" for fault in faults)
    late_words = f", {late} not recovered in time" if late else ""
    pairs = [
        ("seen of the plan", f"{_duration(seen)} of {_duration(planned)}"),
        ("samples that came", "unknown" if coverage is None else f"{coverage:.1%}"),
        ("engines", ", ".join(f"{roles.count(role)} {role}" for role in dict.fromkeys(roles)) or "none"),
        ("restarts", f"{restarts}" if restarts else "none"),
        ("faults on purpose", f"{len(faults)}{late_words}" if faults else "none"),
        ("incidents", f"{len(incidents):,}" if incidents else "none"),
    ]  # fmt: skip
    return tag("dl", (tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs), class_="facts")


def comparisons(verdict: Entry) -> Iterator[Html]:
    """Write each rival and twin beside its subject, with bars that share one scale a figure."""
    for comparison in verdict.get("comparisons") or ():
        subject, other = str(comparison.get("subject")), str(comparison.get("other"))
        yield tag("h3", f"{other} beside {subject}")
        same = "Both were driven by the same operations." if comparison.get("same_tape") else comparison.get("note")
        yield tag("p", str(same or "Whether both were driven by the same operations is not known."), class_="meta")
        if comparison.get("missing"):
            yield tag("p", f"{comparison['missing']}.", class_="missing")
        heads = ("figure", subject, other, "ratio", "")
        yield table(
            heads, (_figure_row(figure) for figure in comparison.get("figures") or ()), class_="numbers compared"
        )


def _figure_row(figure: Entry) -> Iterator[str | Html]:
    yield tag("th", figure_name(figure), scope="row")
    for side in ("subject", "other"):
        words = figure_words(figure, side)
        value = figure.get(side)
        each = f"{_latency_words(1 / value)} of CPU an operation" if _is_per_cpu(figure) and value else ""
        yield tag("td", words if words != "-" else "not measured", tag("small", each) if each else "")
    yield ratio_words(figure) or (
        "not known" if None in (figure.get("subject"), figure.get("other")) else "either may be 0"
    )
    yield tag("td", _bars(figure), class_="bars")


def _is_per_cpu(figure: Entry) -> bool:
    return str(figure.get("id")).startswith("operations_per_cpu_second")


def _bars(figure: Entry) -> Html:
    sides = [float(v) for side in ("subject", "other") if (v := figure.get(side)) is not None and v >= 0]
    if len(sides) < 2 or not any(sides):
        return Html()
    shares = [MOST_SHARE * value / max(sides) for value in sides]
    return join(tag("span", class_=f"bar c{i}", style=f"width:{share:.1f}%") for i, share in enumerate(shares, 1))


def waivers(verdict: Entry) -> Iterator[Html]:
    """Write what became of every known leak that was listed."""
    fates = verdict.get("waivers") or ()
    if not fates:
        return
    yield tag("p", "A leak that is listed keeps its numbers, and fails nobody until its day.", class_="meta")
    yield table(("waiver", "state", "of", "because", "until", "note"), (_waiver_row(fate) for fate in fates))


def _waiver_row(fate: Entry) -> Iterator[str | Html]:
    yield tag("th", str(fate.get("name")), scope="row")
    yield str(fate.get("state"))
    beyond = fate.get("beyond") or ()
    covered = [f"{each.get('engine')}: {each.get('check')}" for each in (*(fate.get("covers") or ()), *beyond)]
    yield ", ".join(covered) or "nothing"
    yield tag("td", str(fate.get("reason") or ""), class_="why")
    yield str(fate.get("expires") or "unknown")
    why = [str(each.get("why")) for each in beyond] + ([str(fate["why"])] if "why" in fate else [])
    yield tag("td", "; ".join(why), class_="why")


def faults(verdict: Entry) -> Iterator[Html]:
    """Write every fault on purpose and how it was recovered from."""
    found = verdict.get("faults") or ()
    if not found:
        yield tag("p", "No fault was planned.")
        return
    heads = (
        "#",
        "fault",
        "on",
        "at",
        "verdict",
        "lasted",
        "noticed",
        "recovered",
        "operations meanwhile",
        "memory kept",
        "why",
    )
    yield table(heads, (_fault_row(fault) for fault in found), class_="faults")


def _fault_row(fault: Entry) -> Iterator[str | Html]:
    yield str(fault.get("number") or "")
    yield tag("th", str(fault.get("name")), scope="row")
    yield f"{fault.get('on')} of {fault.get('target')}"
    yield _duration(fault.get("from_s", fault.get("at_s")))
    yield state_badge(fault.get("verdict"))
    yield _latency(fault.get("lasted_s"), "at once")
    yield _latency(fault.get("detected_s"), "not seen")
    yield _latency(fault.get("recovered_s"), "not seen")
    counts = [("failed", "failed_operations"), ("retried", "retried_operations"), ("in all", "operations")]
    told = [f"{fault[key]:,} {word}" for word, key in counts if fault.get(key) is not None]
    yield ", ".join(told) or "unknown"
    kept = fault.get("bytes_not_returned")
    yield "unknown" if kept is None else _bytes(kept)
    yield tag("td", str(fault.get("reason") or ""), class_="why")


def evidence(material: Material, controls: Mapping[str, Subject | None]) -> Iterator[Html]:
    """Write why the verdict may be believed: checks of the run, controls, soakd's own share, what was left out."""
    if checks := material.verdict.get("checks"):
        yield checks_table(run_rows(checks))
    yield tag("h3", "Controls")
    yield tag(
        "p", "Two engines of soakd's own run in every soak: an empty one, which must be flat, and one that leaks twice "
        "the limit, which must be caught.", class_="meta",
    )  # fmt: skip
    drawn = []
    for entry in material.controls:
        note = join([_control_words(material.verdict, entry), " ", leak_words(entry)])
        one = controls.get(str(entry.get("name")))
        chart = control_chart(one, note) if one is not None else None
        drawn.append(chart or tag("p", tag("b", str(entry.get("name"))), " ", note))
    yield tag("div", drawn, class_="charts")
    yield from _observer(material.verdict.get("observer") or {})
    yield tag("h3", "Recorded and not judged")
    yield from _exclusions(material.verdict.get("exclusions") or ())


def _control_words(verdict: Entry, entry: Entry) -> Html:
    judged = (verdict.get("controls") or {}).get(str(entry.get("kind")).removeprefix("control."), {})
    state = str(judged.get("verdict", "INCOMPLETE"))
    word = control_word(str(entry.get("kind")), state) or state
    return state_badge(CALM.get(word, state), word)


def _observer(observer: Entry) -> Iterator[Html]:
    pairs = []
    if "cpu_ratio" in observer:
        pairs.append(("processor", f"{observer['cpu_ratio']:.2%} of a core"))
    if "resident_bytes" in observer:
        pairs.append(("resident memory", _bytes(observer["resident_bytes"])))
    if "growth_bytes_per_hour" in observer:
        pairs.append(
            (
                "growth of the daemon",
                _interval(observer, "growth_bytes_per_hour", lambda v: quantity_words(v, "bytes/hour")),
            )
        )
    if "harness_growth_bytes_per_operation" in observer:
        key = "harness_growth_bytes_per_operation"
        pairs.append(("soakd's share of every engine's growth", _interval(observer, key, lambda v: f"{v:.3g} B/op")))
    if pairs:
        yield tag("h3", "What soakd itself took")
        yield definitions(pairs)


def _interval(values: Entry, key: str, write: Any) -> str:
    low, high = values.get(f"{key}_low"), values.get(f"{key}_high")
    interval = "" if low is None or high is None else f" [{write(low)}, {write(high)}]"
    return f"{write(values[key])}{interval}"


def _exclusions(found: Sequence[Entry]) -> Iterator[Html]:
    if not found:
        yield tag("p", "Nothing was left out.")
        return
    rows = (
        (str(e.get("engine") or "run"), str(e.get("what")).replace("_", " "), str(e.get("why")),
         f"{e.get('windows', 0):,}", _duration(e.get("seconds")), format_count(e.get("operations", 0)))
        for e in found
    )  # fmt: skip
    kinds = ", ".join(dict.fromkeys(f"{str(e.get('what')).replace('_', ' ')} ({e.get('why')})" for e in found))
    yield tag("p", f"{kinds}.")
    listed = table(("engine", "not in", "because", "windows", "time", "operations"), rows, class_="numbers")
    yield tag("details", tag("summary", f"by engine: {len(found)} entries"), listed)


def environment(material: Material) -> Iterator[Html]:
    """Write where it ran, with what, and from which configuration."""
    run = material.verdict.get("run") or {}
    host = dict(run.get("host") or {})
    memory = host.pop("memory_bytes", None)
    pairs = [(name.replace("_", " "), str(value if value is not None else "unknown")) for name, value in host.items()]
    if memory is not None:
        pairs.append(("memory", _bytes(memory)))
    versions = ", ".join(f"{name} {version}" for name, version in (run.get("versions") or {}).items())
    pairs += [
        ("commit", str(run.get("git_commit") or "unknown: the configuration lies in no git repository")),
        ("versions", versions or "unknown"),
    ]  # fmt: skip
    yield definitions(pairs)
    yield tag("h3", "Configuration")
    yield tag("p", f"SHA-256 {run.get('config_sha256') or 'unknown'}.", class_="meta")
    if material.overrides:
        yield tag("p", "Changed on the command line: ", tag("code", "; ".join(material.overrides)))
    if material.config is None:
        yield tag("p", "The run's copy of its configuration is missing.", class_="missing")
    else:
        yield tag("pre", lines(material.config, MOST_CONFIG), class_="config", tabindex="0")


def reproduce(material: Material) -> Iterator[Html]:
    """Write how to run and to judge it again."""
    run, run_id = material.verdict.get("run") or {}, str(material.verdict.get("run_id"))
    overrides = " ".join(f"--set {shlex.quote(o)}" for o in material.overrides)
    duration = run.get("planned_seconds")
    commands = [
        f"soakd judge {shlex.quote(run_id)}        # the same verdict from the same journal",
        f"soakd report {shlex.quote(run_id)}       # this page",
        f"soakd export {shlex.quote(run_id)} --csv  # every sample, for other tools",
        f"soakd run soak.toml {overrides}".rstrip() + f"   # again: {_duration(duration)}",
    ]  # fmt: skip
    yield tag("pre", lines("\n".join(commands), MOST_CONFIG))
    seed = "unknown" if material.seed is None else str(material.seed)
    yield tag(
        "p", f"The seed {seed} draws the same operations. The configuration above is the run's soak.toml; the paths in "
        "it are relative to where it lay. The journal is a SQLite file with everything that the verdict is made from.",
        class_="meta",
    )  # fmt: skip
    if artifacts := material.verdict.get("artifacts"):
        rows = ((str(a.get("path")), _bytes(a.get("bytes", 0)), tag("td", tag("code", str(a.get("sha256")))))
                for a in artifacts)  # fmt: skip
        yield table(("file", "size", "SHA-256"), rows)


def definitions(pairs: Sequence[tuple[str, str]]) -> Html:
    """Write pairs of a name and a value."""
    return tag("dl", (join([tag("dt", name), tag("dd", value)]) for name, value in pairs), class_="pairs")


def _duration(seconds: object) -> str:
    return format_duration(seconds) if type(seconds) in (int, float) else "unknown"  # type: ignore[arg-type]


def _bytes(count: float) -> str:
    return quantity_words(count, "bytes")


def _latency_words(seconds: float) -> str:
    return quantity_words(seconds, "seconds")


def _latency(seconds: object, otherwise: str) -> str:
    return _latency_words(seconds) if type(seconds) in (int, float) else otherwise  # type: ignore[arg-type]
