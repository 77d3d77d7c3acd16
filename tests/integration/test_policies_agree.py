"""The same decisions from regorus and from a real OPA: every policy that ships, on seeded inputs.

Where they are known to differ on Rego that we do not ship is in docs/engines.md.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from configs.policies import generate
from soakd.worker.engines.comparison import same
from soakd.worker.engines.policy_opa import OpaPolicy
from soakd.worker.engines.policy_regorus import RegorusPolicy
from soakd.worker.engines.undefined import UNDEFINED
from soakd.worker.load.mixes import MIXES
from soakd.worker.load.tape import make_operations
from tests.servers import Server, on_a_loop, opa_server

pytestmark = pytest.mark.integration

POLICIES = Path(__file__).parent.parent.parent / "configs" / "policies"
INPUTS = 1000
GENERATED_BYTES = {"distinct": 300_000, "same": 50_000, "table": 30_000}
"""A policy that is one rule or one literal costs as much in each decision as it is large."""
RULES = {
    "rbac": ("allow", "roles", "reasons"),
    "tenants": ("allow", "granted", "levels", "denied", "deny", "project"),
}
ODD: tuple[Any, ...] = (None, True, 0, -1.5, 2**70, "", "user-001", "ü\u2028", [], ["read"], {}, {"a": 1})


@pytest.fixture(scope="module")
def opa() -> Iterator[Server]:
    with opa_server() as server:
        yield server


def seeded_inputs(count: int) -> list[dict[str, Any]]:
    """Half from the tape, half of those with fields left out or of another type."""
    draw = random.Random(5).random
    given: list[dict[str, Any]] = []
    for number, operation in enumerate(make_operations(5, MIXES["complex"], count)):
        fields = dict(operation.input)
        if number % 2:
            name = sorted(fields)[int(draw() * len(fields))]
            fields.pop(name) if draw() < 0.5 else fields.update({name: ODD[int(draw() * len(ODD))]})
        given.append(fields)
    return given


async def disagreements(opa: Server, inputs: list[dict[str, Any]], **options: Any) -> list[Any]:
    """Ask both for every input; return those that they answer differently."""
    there, here = OpaPolicy(**options, url=opa.url, timeout=20.0), RegorusPolicy(**options)
    await there.start()
    try:
        of_opa = await there.decide_many(inputs)
    finally:
        await there.close()
    of_regorus = here.decide_many(inputs)
    assert not any(isinstance(answer, Exception) for answer in (*of_opa, *of_regorus))
    assert len({repr(answer) for answer in of_opa}) > 1, "a rule that answers all alike shows nothing"
    return [each for each in zip(inputs, of_regorus, of_opa, strict=True) if not same(each[1], each[2])]


@pytest.mark.parametrize(("name", "rule"), [(name, rule) for name, rules in RULES.items() for rule in rules])
@on_a_loop
async def test_regorus_and_opa_decide_alike_on_what_ships(opa: Server, name: str, rule: str) -> None:
    options = {"policy": str(POLICIES / f"{name}.rego"), "data": str(POLICIES / f"{name}.json")}
    assert await disagreements(opa, seeded_inputs(INPUTS), **options, rule=f"data.{name}.{rule}") == []


@pytest.mark.parametrize("shape", sorted(generate.SHAPES))
@on_a_loop
async def test_regorus_and_opa_decide_alike_on_what_is_generated(opa: Server, shape: str, tmp_path: Path) -> None:
    text = generate.policy_text(shape, GENERATED_BYTES[shape], random.Random(3).random)
    file = tmp_path / "generated.rego"
    file.write_text(text.replace("package generated", f"package generated_{shape}"), encoding="utf-8")
    rule = f"data.generated_{shape}.allow"
    assert await disagreements(opa, seeded_inputs(INPUTS), policy=str(file), rule=rule) == []


@on_a_loop
async def test_every_policy_that_ships_is_compared(opa: Server) -> None:
    assert {file.stem for file in POLICIES.glob("*.rego")} == set(RULES)


@on_a_loop
async def test_both_say_undefined_and_a_difference_would_be_seen(opa: Server, tmp_path: Path) -> None:
    here, there = tmp_path / "here.rego", tmp_path / "there.rego"
    here.write_text("package differ\n\nallow if input.n > 1\n", encoding="utf-8")
    there.write_text("package differ\n\nallow if input.n > 2\n", encoding="utf-8")
    engine = OpaPolicy(policy=str(there), rule="data.differ.allow", url=opa.url)
    await engine.start()
    inputs = [{"n": number} for number in range(5)]
    of_opa = await engine.decide_many(inputs)
    await engine.close()
    of_regorus = RegorusPolicy(policy=str(here), rule="data.differ.allow").decide_many(inputs)
    assert [same(*pair) for pair in zip(of_regorus, of_opa, strict=True)] == [True, True, False, True, True]
    assert of_opa[:2] == [UNDEFINED, UNDEFINED]
