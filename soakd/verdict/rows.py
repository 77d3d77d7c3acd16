"""The checks of a verdict file as formatted rows, shared by terminal, Markdown, HTML and JUnit."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from soakd.verdict.check import Check
from soakd.verdict.severity import State
from soakd.verdict.types import EngineVerdict, Verdict
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
    verdict: State
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


def rows_of(verdict: Verdict) -> Iterator[CheckRow]:
    """Yield the checks of every engine in the file's order, then those of the run."""
    for engine in verdict.engines:
        yield from engine_rows(engine)
    yield from run_rows(verdict.checks)


def engine_rows(engine: EngineVerdict) -> list[CheckRow]:
    """Return the checks of one engine."""
    leak = leak_check(engine.checks)
    return [_row(check, engine, is_leak_check=check is leak) for check in engine.checks]


def run_rows(checks: Iterable[Check]) -> list[CheckRow]:
    """Return the checks of the run as a whole."""
    return [_row(check, None, is_leak_check=False) for check in checks]


def _row(check: Check, engine: EngineVerdict | None, *, is_leak_check: bool) -> CheckRow:
    is_control = engine is not None and engine.role == "control"
    minor = check.informational and check.verdict != "FAIL" and not check.waived
    if is_control and not is_leak_check:  # a control answers one question; apart from that only failures matter
        minor = check.verdict == "PASS" or check.id.startswith(("growth.", "latency."))
    word = control_word(engine.kind, check.verdict) if engine is not None and is_leak_check else check.verdict
    least = check.detectable_95
    return CheckRow(
        engine=RUN if engine is None else engine.name, id=check.id, verdict=check.verdict,
        state=WAIVED if check.waived else str(word), estimate=value_words(check), limit=limit_words(check),
        detectable="" if least is None else quantity_words(least, check.unit), reason=check.reason,
        waived=check.waived, decides=check.decides,
        informational=not (check.decides or check.waived or (is_control and is_leak_check)), minor=minor,
    )  # fmt: skip
