"""The tape: the same everywhere, bounded, and about what the policies decide."""

import itertools
import os
import subprocess
import sys
from collections import Counter

import pytest

from soakd.setup.settings import MIXES as CONFIGURED
from soakd.wire.spec import Operation
from soakd.worker.load import Tape
from soakd.worker.load.mixes import MIXES
from soakd.worker.load.tape import LENGTH, make_operations, replay

SHORT = 4_000


def verbs(operations: list[Operation]) -> dict[str, int]:
    return {verb: round(100 * count / len(operations)) for verb, count in Counter(op.verb for op in operations).items()}


@pytest.fixture(scope="module")
def standard() -> list[Operation]:
    return make_operations(1, MIXES["standard"])


@pytest.mark.parametrize(
    ("mix", "shares"),
    [("standard", (60, 30, 10)), ("read-heavy", (90, 8, 2)), ("write-heavy", (30, 60, 10)), ("complex", (60, 30, 10))],
)
def test_verbs_come_in_the_shares_of_the_mix(mix: str, shares: tuple[int, int, int]) -> None:
    counted = verbs(make_operations(1, MIXES[mix], 20_000))
    assert all(abs(counted[verb] - share) <= 1 for verb, share in zip(("read", "write", "admin"), shares, strict=True))


def test_one_seed_gives_one_tape_and_another_seed_another() -> None:
    tapes = [Tape(make_operations(seed, MIXES["standard"], SHORT)).hash for seed in (1, 1, 2)]
    assert tapes[0] == tapes[1] != tapes[2]


@pytest.mark.parametrize("hash_seed", ["0", "77"])
def test_another_process_makes_the_same_tape(hash_seed: str) -> None:
    program = f"from soakd.worker.load.tape import *\nprint(Tape(make_operations(1, MIXES['complex'], {SHORT})).hash)"
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}
    there = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == Tape(make_operations(1, MIXES["complex"], SHORT)).hash


def test_the_tape_of_seed_1_is_the_one_that_it_has_always_been() -> None:
    hashes = {
        name: Tape(make_operations(1, mix, SHORT), first_unique=0 if mix.unique else None).hash[:16]
        for name, mix in MIXES.items()
    }
    assert hashes == {
        "standard": "b69b8169f9b7e8ff",
        "read-heavy": "7e8e3022829aaef7",
        "write-heavy": "8585369fe7d4fac1",
        "cache-miss": "430fcc2c6a060325",
        "complex": "5a1010e4cdf31303",
    }


def test_inputs_are_few_and_shared(standard: list[Operation]) -> None:
    assert len(standard) == LENGTH
    assert len({id(op.input) for op in standard}) <= 4_096


def test_verb_and_key_determine_the_input(standard: list[Operation]) -> None:
    seen: dict[tuple[str, str], object] = {}
    assert all(seen.setdefault((op.verb, op.key), op.input) is op.input for op in standard)


def test_a_key_has_one_size(standard: list[Operation]) -> None:
    seen: dict[str, int] = {}
    assert all(seen.setdefault(op.key, op.size_bytes) == op.size_bytes for op in standard)


def test_keys_follow_zipf(standard: list[Operation]) -> None:
    most = [count for _, count in Counter(op.key for op in standard).most_common(100)]
    assert most[0] / most[9] == pytest.approx(10**0.99, rel=0.2)
    assert most[0] / most[99] == pytest.approx(100**0.99, rel=0.35)


def test_keys_are_of_one_width(standard: list[Operation]) -> None:
    assert len({len(op.key) for op in standard}) == 1


def test_complex_inputs_have_eight_fields_and_three_tenants_of_three_projects() -> None:
    operations = make_operations(1, MIXES["complex"])
    assert {len(op.input) for op in operations} == {8}
    assert len({(op.input["tenant"], op.input["project"]) for op in operations}) == 9
    assert len({op.input["document"] for op in operations}) > 900
    assert all(op.key == f"{op.input['tenant']}/{op.input['project']}/{op.input['document']}" for op in operations)


def test_missed_keys_are_unique_of_one_width_and_never_end() -> None:
    tape = Tape(make_operations(1, MIXES["cache-miss"], 100), first_unique=5 * 10**12)
    keys = [op.key for op in itertools.islice(tape.stream, 1000)]
    assert len(set(keys)) == 1000
    assert {len(key) for key in keys} == {len("session:") + 15}
    assert keys[0] == "session:005000000000000"


def test_the_stream_goes_round_without_a_copy_of_the_tape() -> None:
    operations = make_operations(1, MIXES["standard"], 10)
    tape = Tape(operations)
    first, second = (list(itertools.islice(tape.stream, 10)) for _ in range(2))
    assert all(a is b for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("recorded", [1, 7, 4_000, 70_000])
def test_recorded_inputs_come_in_order_and_each_as_often_as_the_others(recorded: int) -> None:
    inputs = [{"n": number} for number in range(recorded)]
    operations = replay(1, MIXES["standard"], inputs)
    assert [op.input["n"] for op in operations[: 2 * recorded]] == [*range(recorded), *range(recorded)][
        : len(operations)
    ]
    assert len(operations) % recorded == 0
    assert recorded <= len(operations) <= max(recorded, LENGTH)


def test_equal_recorded_inputs_have_one_key_and_different_ones_two() -> None:
    operations = replay(1, MIXES["standard"], [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1}], 3)
    assert operations[0].key == operations[1].key != operations[2].key
    assert len({len(op.key) for op in operations}) == 1


def test_recorded_inputs_are_issued_in_the_verbs_of_the_mix_and_hashed_into_the_tape() -> None:
    one, other = ([{"n": number} for number in range(size)] for size in (50, 51))
    operations = replay(1, MIXES["standard"], one)
    assert verbs(operations) == {"read": 60, "write": 30, "admin": 10}
    hashes = {Tape(replay(1, MIXES["standard"], inputs)).hash for inputs in (one, one, other)}
    assert len(hashes) == 2


def test_the_configuration_knows_the_same_mixes() -> None:
    assert set(CONFIGURED) == set(MIXES)
