import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from soakd.judge.story.assemble import REASONS
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
