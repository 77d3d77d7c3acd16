"""The section of one engine: what it shows besides the engine's part of the verdict file."""

from collections.abc import Iterator
from dataclasses import dataclass

from soakd.report.html.charts import Subject
from soakd.report.html.markup import Html
from soakd.report.html.rendering import words
from soakd.verdict.rows import CheckRow, engine_rows
from soakd.verdict.severity import SEVERITY
from soakd.verdict.site_words import look_words
from soakd.verdict.types import EngineVerdict
from soakd.verdict.wording import quantity_words


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineView:
    """The values of the section."""

    facts: list[str]
    subject: Subject | None
    """Its curves; None where nothing was recorded."""
    flame: Html
    """Its flame graphs as markup; empty where there are none."""
    looks: list[str]
    """What deep looks could not do."""
    grows: bool
    """Whether there is a part about where it grows."""
    deciding: list[CheckRow]
    """The checks that are not informational, the worst first."""
    informational: list[CheckRow]


def engine_view(engine: EngineVerdict, subject: Subject | None, flame: str) -> EngineView:
    """Return the values of the section of an engine."""
    rows = engine_rows(engine)
    looks = [words for look in engine.looks for words in look_words(look)]
    fails = any(check.verdict == "FAIL" and check.id.startswith("growth.") for check in engine.checks)
    return EngineView(
        facts=list(_facts(engine)), subject=subject, flame=Html(flame), looks=looks,
        grows=bool(engine.attribution or looks or fails or flame),
        deciding=sorted((row for row in rows if not row.informational), key=lambda row: -SEVERITY[row.verdict]),
        informational=[row for row in rows if row.informational],
    )  # fmt: skip


def _facts(engine: EngineVerdict) -> Iterator[str]:
    yield engine.role
    yield engine.kind
    if engine.rate_per_second is not None:
        yield f"target {quantity_words(engine.rate_per_second, 'operations/second')}"
    yield f"class {words(engine.growth_class or 'unknown')}"
    lives = engine.segments
    if lives and lives[-1].python:
        yield f"Python {lives[-1].python}"
    yield f"{len(lives)} {'life' if len(lives) == 1 else 'lives'} of its process"
