"""The output of `soakd diff` as lines: two runs compared, or two moments of one run."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from soakd.live.status import printable
from soakd.units import format_bytes, format_count, format_duration
from soakd.verdict.site_words import gain_words
from soakd.verdict.wording import interval_words, quantity_words

ANSWERS = {
    "new": "new: something is only in the second run",
    "unknown": "cannot tell: nothing new was found, but not all could be compared",
    "same": "nothing new",
}
STATES = {
    "new": "new leak", "same": "same leak", "gone": "gone", "unknown": "cannot tell", "suspected": "suspected only",
}  # fmt: skip
DIFFERENCES = {
    "plan": "different plans", "environment": "different environments", "packages": "different releases",
}  # fmt: skip
SHOWN = 12
"""Rows of types, and of containers, shown per engine; --json has all."""
MOST_DIFFERENCES = 20


def run_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a comparison of two runs."""
    for side in ("from", "to"):
        head = result[side]
        words = f"{printable(head['run_id'])}: {head['verdict']}: {printable(head['summary'], 1000)}"
        yield f"{side:5} {words}"
    yield from _unlike(result["differences"])
    for engine in result["engines"]:
        yield ""
        yield from _engine_lines(engine)
    yield ""
    yield ANSWERS[result["answer"]]
    yield from (f"  {printable(why, 1000)}" for why in result["why"])


def heap_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a comparison of two moments."""
    for number, engine in enumerate(result["engines"]):
        if number:
            yield ""
        yield from _heap_of(engine)


def _unlike(differences: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for what, words in DIFFERENCES.items():
        found = differences.get(what, [])
        if found:
            yield f"{words}:"
        for each in found[:MOST_DIFFERENCES]:
            yield f"  {_whose(each)}{printable(each['key'])}: {_given(each['from'])} -> {_given(each['to'])}"
        if len(found) > MOST_DIFFERENCES:
            yield f"  and {len(found) - MOST_DIFFERENCES} more"


def _whose(each: Mapping[str, Any]) -> str:
    return f"{', '.join(map(printable, each['engines']))}: " if "engines" in each else ""


def _given(value: object) -> str:
    return "-" if value is None else printable(value, 120)


def _engine_lines(engine: Mapping[str, Any]) -> Iterator[str]:
    verdicts, classes = engine["verdict"], engine["class"]
    where = {"from": "only in the first run", "to": "only in the second run"}.get(engine["in"])
    yield f"{printable(engine['name'])} ({engine['role']}): " + (
        where or f"{verdicts['from']} -> {verdicts['to']}, {classes['from']} -> {classes['to']}"
    )
    rows = [_growth_row(check) for check in [*engine["growth"], *engine["changed"]]]
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
    for row in rows:
        name, one, other = (cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True))
        yield f"  {name}  {one}  ->  {other}  {row[3]}".rstrip()
    for leak in engine["leaks"]:
        yield from _leak_lines(leak)


def _growth_row(check: Mapping[str, Any]) -> tuple[str, str, str, str]:
    sides = [_side(check.get(side), check.get("unit")) for side in ("from", "to")]
    answer = str(check.get("answer", ""))
    most = (check.get("to") or check.get("from") or {}).get("limit")
    limit = "" if most is None else quantity_words(most, check.get("unit") or "")
    facts = [answer if answer in ("faster", "slower") else "", f"limit {limit}" if limit else ""]
    return printable(check["id"]), *sides, ", ".join(filter(None, facts))  # type: ignore[return-value]


def _side(side: Mapping[str, Any] | None, unit: str | None) -> str:
    if side is None:
        return "not judged"
    waived = " (waived)" if "waived" in side else ""
    return " ".join(
        filter(
            None,
            (
                f"{side['verdict']}{waived}",
                interval_words(side.get("estimate"), side.get("low"), side.get("high"), unit or ""),
            ),
        )
    )


def _leak_lines(leak: Mapping[str, Any]) -> Iterator[str]:
    known = f" (known: {printable(leak['known'], 200)})" if leak.get("known") else ""
    yield f"  {STATES[leak['state']]}: {printable(leak['site'], 1000)}{known}"
    facts = [" -> ".join(_rate(leak[side]) for side in ("from", "to") if leak[side] is not None)]
    facts += [f"{leak['ratio']:.3g}x"] if "ratio" in leak else []
    facts += [f"was at {printable(leak['from']['site'], 1000)}"] if _moved(leak) else []
    facts += [printable(leak["why"], 500)] if "why" in leak else []
    yield f"    {printable(leak['fingerprint'])}: {'; '.join(facts)}"


def _moved(leak: Mapping[str, Any]) -> bool:
    return leak["from"] is not None and leak["to"] is not None and leak["from"]["site"] != leak["to"]["site"]


def _rate(figures: Mapping[str, Any]) -> str:
    return gain_words(figures.get("bytes_per_operation"), figures.get("things_per_operation")) or "?"


def _heap_of(engine: Mapping[str, Any]) -> Iterator[str]:
    name = printable(engine["name"])
    if "why" in engine:
        yield f"{name}: {printable(engine['why'])}"
        return
    one, other = engine["from"], engine["to"]
    change = format_bytes(other["bytes"] - one["bytes"])
    yield (
        f"{name}: {_moment(one)} -> {_moment(other)}: {format_count(one['objects'])} -> "
        f"{format_count(other['objects'])} objects, {format_bytes(one['bytes'])} -> {format_bytes(other['bytes'])} "
        f"({'' if change.startswith('-') else '+'}{change})"
    )
    for note in engine["notes"]:
        yield f"  {printable(note)}"
    if not engine["types"] and not engine["containers"]:
        yield "  nothing grew"
    yield from _table("type", [_type_row(row) for row in engine["types"][:SHOWN]], len(engine["types"]))
    yield from _table("container", [_container_row(row) for row in engine["containers"][:SHOWN]],
                      len(engine["containers"]))  # fmt: skip


def _moment(side: Mapping[str, Any]) -> str:
    return f"{format_duration(side['at_s'])} ({side['phase']}, {format_duration(side['asked_s'])} asked)"


def _type_row(row: Mapping[str, Any]) -> tuple[str, str, str]:
    least = ">= " if row.get("at_least") else ""
    count = f"{row['grew_count']:+,} objects" if "grew_count" in row else f"{row['to_count']:,} objects now"
    return printable(row["type"]), f"{least}+{format_bytes(row['grew_bytes'])}", count


def _container_row(row: Mapping[str, Any]) -> tuple[str, str, str]:
    least = ">= " if row.get("at_least") else ""
    name = f"{row['type']} {row['name']}" if "name" in row else f"{row['type']} at {row['id']:#x}"
    size = f", {format_bytes(row['grew_bytes'])} of its own" if row.get("grew_bytes", 0) > 0 else ""
    return printable(name), f"{least}+{row['grew_length']:,} entries", f"{row['to_length']:,} now{size}"


def _table(what: str, rows: Sequence[tuple[str, str, str]], total: int) -> Iterator[str]:
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
    for name, grew, more in rows:
        yield f"  {what:9}  {grew.rjust(widths[1])}  {name.ljust(widths[0])}  {more}"
    if total > len(rows):
        yield f"  and {total - len(rows)} more {what}s"
