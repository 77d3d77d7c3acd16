"""The checks of a verdict file as formatted rows, shared by terminal, Markdown, HTML and JUnit."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from soakd.verdict.check import is_deciding
from soakd.verdict.wording import control_word, leak_check, limit_words, quantity_words, value_words

RUN = "run"
"""The engine's name in rows of the run as a whole."""
WAIVED = "waived"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRow:
    """One check, formatted. Texts are unchanged from the file: each output escapes what it must."""

    engine: str
    """Name of the engine, or `RUN`."""
    id: str
    verdict: str
    """The state in the file."""
    state: str
    """The state to show: "waived" if it is, and for a control's leak check "flat", "caught" and so on."""
    estimate: str
    """The estimate with its interval; empty if nothing was measured."""
    limit: str
    detectable: str
    """The least detectable rate."""
    reason: str
    waived: tuple[str, ...]
    """The waivers that cover it."""
    decides: bool
    """Whether it decides the verdict of the run."""
    informational: bool
    """Whether it neither decides nor is waived; never for a control's leak check: `evidence.controls` judges it."""
    minor: bool
    """Whether it does not decide and has not failed: left out if space is short."""


def rows_of(verdict: Mapping[str, Any]) -> Iterator[CheckRow]:
    """Yield the checks of every engine in the file's order, then those of the run."""
    for engine in verdict.get("engines") or ():
        yield from engine_rows(engine)
    yield from run_rows(verdict.get("checks") or ())


def engine_rows(engine: Mapping[str, Any]) -> list[CheckRow]:
    """Return the checks of one engine of a verdict file."""
    checks = engine.get("checks") or ()
    leak = leak_check({str(check.get("id")): check for check in checks})
    return [_row(check, engine, is_leak_check=check is leak) for check in checks]


def run_rows(checks: Iterable[Mapping[str, Any]]) -> list[CheckRow]:
    """Return the checks of the run as a whole."""
    return [_row(check, {"name": RUN}, is_leak_check=False) for check in checks]


def _row(check: Mapping[str, Any], engine: Mapping[str, Any], *, is_leak_check: bool) -> CheckRow:
    check_id, verdict, role = str(check.get("id")), str(check.get("verdict")), engine.get("role")
    waived = tuple(map(str, check.get("waived") or ()))
    decides = is_deciding(check, role)
    minor = bool(check.get("informational")) and verdict != "FAIL" and not waived
    if role == "control" and not is_leak_check:  # a control answers one question; apart from that only failures matter
        minor = verdict == "PASS" or check_id.startswith(("growth.", "latency."))
    word = control_word(str(engine.get("kind")), verdict) if is_leak_check else verdict
    least = check.get("minimum_detectable")
    return CheckRow(
        engine=str(engine.get("name")), id=check_id, verdict=verdict, state=WAIVED if waived else str(word),
        estimate=value_words(check), limit=limit_words(check),
        detectable="" if least is None else quantity_words(least, str(check.get("unit") or "")),
        reason=str(check.get("reason") or ""), waived=waived, decides=decides,
        informational=not (decides or waived or (role == "control" and is_leak_check)), minor=minor,
    )  # fmt: skip
