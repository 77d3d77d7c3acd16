"""Verdicts for tests, from as little as they need to say."""

from collections.abc import Mapping
from typing import Any

from soakd.verdict.types import EngineVerdict, Verdict

LEAST = {"verdict": "INCOMPLETE", "summary": ""}


def typed(content: Mapping[str, Any]) -> Verdict:
    """Read a verdict; what every file has need not be there."""
    engines = [
        {"verdict": "INCOMPLETE", **engine, "checks": _checks(engine)} for engine in content.get("engines") or ()
    ]
    return Verdict.from_dict({**LEAST, **content, "engines": engines, "checks": _checks(content)})


def _checks(judged: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"verdict": "INCOMPLETE", **check} for check in judged.get("checks") or ()]


def typed_engine(engine: Mapping[str, Any]) -> EngineVerdict:
    """Read what a verdict says of an engine."""
    return typed({"engines": [engine]}).engines[0]
