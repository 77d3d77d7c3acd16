"""The tape: 65,536 seeded operations, made once before the baseline and played in a loop.

Recorded inputs replace generated ones, in the order and as often as they were recorded; with more than 65,536 of them,
the tape is longer.

The same seed and mix give the same tape in every process and Python version. Of `random` only `Random(int).random()` is
used, the one method whose sequence the language promises to keep; zipf weights are whole numbers.
"""

import hashlib
import itertools
import json
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from soakd.wire.policies import read_inputs
from soakd.wire.spec import Operation, Verb, WorkerSpec
from soakd.worker.load.mixes import MIXES, Input, Mix

LENGTH = 65_536
ZIPF_EXPONENT = 0.99
UNIQUE_PER_SEGMENT = 10**12
"""Offset of the unique keys of each next life of a process: a server that kept running has not seen any of them."""


class Tape:
    """An endless sequence of operations.

    Attributes:
        stream: the operations; all phases share one iterator, so that unique keys stay unique.
        hash: SHA-256 of the content, hexadecimal; goes into the run's record.
    """

    def __init__(self, operations: list[Operation], *, first_unique: int | None = None) -> None:
        self.hash = _hash(operations, unique=first_unique is not None)
        self.stream: Iterator[Operation]
        if first_unique is None:
            # Not itertools.cycle: it copies the tape during the first round, which would be growth.
            self.stream = itertools.chain.from_iterable(itertools.repeat(operations))
        else:
            self.stream = _with_unique_keys(operations, first_unique)


def build_tape(spec: WorkerSpec, inputs: str | None = None) -> Tape:
    """Build a worker's tape from its seed and mix, and from recorded inputs if a file of them is given.

    Raises:
        ValueError: an unknown mix.
        EngineError: the recorded inputs cannot be read.
    """
    if spec.mix not in MIXES:
        raise ValueError(f'mix: must be one of {", ".join(MIXES)}, got "{spec.mix}"')
    mix = MIXES[spec.mix]
    operations = make_operations(spec.seed, mix) if inputs is None else replay(spec.seed, mix, read_inputs(inputs))
    return Tape(
        operations,
        first_unique=spec.segment * UNIQUE_PER_SEGMENT if mix.unique else None,
    )


def make_operations(seed: int, mix: Mix, length: int = LENGTH) -> list[Operation]:
    """Draw `length` operations; verb and key determine the input, so that decisions can be cached by them."""
    draw = random.Random(seed).random
    bounds = _zipf_bounds(mix.keys)
    entries: dict[int, tuple[str, int]] = {}
    inputs: dict[tuple[Verb, int], Input] = {}
    operations = []
    for _ in range(length):
        verb = mix.verb(draw())
        rank = bisect_right(bounds, int(draw() * bounds[-1]))
        slot = rank % mix.inputs
        key, size_bytes = entries.get(rank) or entries.setdefault(rank, (mix.key(rank), mix.size_bytes(rank)))
        given = inputs.get((verb, slot)) or inputs.setdefault((verb, slot), mix.input(verb, slot))
        operations.append(Operation(verb, key, given, size_bytes))
    return operations


def replay(seed: int, mix: Mix, inputs: Sequence[Input], length: int = LENGTH) -> list[Operation]:
    """Draw operations that repeat the recorded inputs in order, in whole rounds, with the mix's verbs.

    Equal inputs share a key, so that here too verb and key determine the input.
    """
    draw = random.Random(seed).random
    firsts: dict[str, int] = {}
    numbers = [firsts.setdefault(json.dumps(given, sort_keys=True), n) for n, given in enumerate(inputs)]
    entries = {number: (f"input:{number:015d}", mix.size_bytes(number)) for number in firsts.values()}
    return [
        Operation(mix.verb(draw()), entries[number][0], inputs[number], entries[number][1])
        for number in numbers * max(1, length // len(numbers))
    ]


def _zipf_bounds(keys: int) -> list[int]:
    """Return cumulative weights: rank r has a weight proportional to 1 / (r + 1) ** 0.99, in whole numbers."""
    return list(itertools.accumulate(round(2**40 / (rank + 1) ** ZIPF_EXPONENT) for rank in range(keys)))


def _with_unique_keys(operations: list[Operation], first: int) -> Iterator[Operation]:
    for number in itertools.count(first):
        verb, _, given, size_bytes = operations[number % len(operations)]
        yield Operation(verb, f"session:{number:015d}", given, size_bytes)


def _hash(operations: list[Operation], *, unique: bool) -> str:
    digest = hashlib.sha256(b"unique keys\n" if unique else b"")
    known: dict[int, bytes] = {}
    for verb, key, given, size_bytes in operations:
        text = known.get(id(given)) or known.setdefault(id(given), json.dumps(given, sort_keys=True).encode())
        digest.update(f"{verb}\t{key}\t{size_bytes}\t".encode() + text + b"\n")
    return digest.hexdigest()
