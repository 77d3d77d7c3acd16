import json
from collections.abc import Iterator
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from soakd.judge.story.assemble import REASONS
from soakd.verdict import types
from soakd.verdict.check import Check
from soakd.verdict.codec import fields_of, key_of
from tests.recorded import Story, judged, per_operation, plan_of

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "soakd" / "report" / "verdict.schema.json").read_text(encoding="utf-8")
)
SHORT = plan_of()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "verdict",
    [
        judged(SHORT),
        judged(SHORT, mine=Story(python=per_operation(100))),
        judged(SHORT, until_s=60, end="interrupted"),
        judged(SHORT, until_s=60, end=None, running=True),
        judged(SHORT, change=lambda record: None),
        judged(plan_of(run='controls_off = ["leak"]')),
        judged(SHORT, mine=Story(incidents=[(30.0, {"what": "crash", "detail": "killed"})])),
        judged(SHORT, mine=Story(incidents=[(30.0, {"detail": "what it was is missing"})])),
        judged(SHORT, mine=Story(incidents=[(30.0, {"what": "slow", "at_wall_s": "then", "engine": 5})])),
    ],
    ids=["pass", "fail", "interrupted", "running", "empty", "no control", "crash", "nameless", "says when"],
)
def test_every_verdict_keeps_to_the_schema(verdict: dict[str, Any]) -> None:
    jsonschema.validate(json.loads(json.dumps(verdict)), SCHEMA)


@pytest.mark.parametrize("reason", REASONS)
def test_the_schema_knows_every_way_in_which_a_run_ends(reason: str) -> None:
    jsonschema.validate(json.loads(json.dumps(judged(SHORT, until_s=20, end=reason))), SCHEMA)


def test_a_verdict_with_a_number_in_place_of_a_state_does_not() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(judged(SHORT) | {"verdict": 0}, SCHEMA)


def at(*path: str) -> dict[str, Any]:
    """A part of the schema."""
    found = SCHEMA
    for key in path:
        found = found[key]
    return found


OF_ENGINE = ("$defs", "engine", "properties")
TABLES: list[tuple[type, dict[str, Any]]] = [
    (types.Verdict, SCHEMA),
    (Check, at("$defs", "check")),
    (types.EngineVerdict, at("$defs", "engine")),
    (types.LifeEntry, at("$defs", "segments", "items")),
    (types.ServerVerdict, at(*OF_ENGINE, "servers", "items")),
    (types.LookEntry, at(*OF_ENGINE, "looks", "items")),
    (types.RunFacts, at("properties", "run")),
    (types.Comparison, at("properties", "comparisons", "items")),
    (types.Figure, at("properties", "comparisons", "items", "properties", "figures", "items")),
    (types.ControlVerdict, at("properties", "controls", "properties", "leak")),
    (types.Observer, at("properties", "observer")),
    (types.FaultEntry, at("properties", "faults", "items")),
    (types.Exclusion, at("properties", "exclusions", "items")),
    (types.WaiverFate, at("properties", "waivers", "items")),
    (types.Artifact, at("properties", "artifacts", "items")),
]
OTHERS = {"Verdict": {"sha256"}, "ServerVerdict": {"waived", "waived_up_to"}}
"""The checksum is the file's. What a server never had is in the schema from its first day on; nothing is taken away."""


def keys_of(cls: type) -> Iterator[tuple[str, Field[Any]]]:
    for field, kind in fields_of(cls):
        if field.metadata.get("flat"):
            yield from keys_of(kind)
        elif not field.metadata.get("unwritten"):
            yield key_of(field), field


@pytest.mark.parametrize(("cls", "table"), TABLES, ids=lambda part: getattr(part, "__name__", ""))
def test_the_schema_has_the_keys_of_the_types_and_no_others(cls: type, table: dict[str, Any]) -> None:
    fields = dict(keys_of(cls))
    assert fields.keys() == table["properties"].keys() - OTHERS.get(cls.__name__, set())


@pytest.mark.parametrize(("cls", "table"), TABLES, ids=lambda part: getattr(part, "__name__", ""))
def test_what_the_schema_requires_is_always_written(cls: type, table: dict[str, Any]) -> None:
    fields = dict(keys_of(cls))
    required = [fields[key] for key in table.get("required", ())]
    assert [f.name for f in required if f.default is not MISSING and not f.metadata.get("written")] == []
