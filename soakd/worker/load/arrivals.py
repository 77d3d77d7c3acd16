"""The due times of operations: an absolute schedule in whole nanoseconds, fixed before the first one is issued.

A profile is a shape over its phase: piecewise-constant multiples of the rate whose mean is 1, so that every profile
issues rate x duration operations. Default rates are in `soakd.setup.engine_kinds.PROFILE_RATES`.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import lcm
from typing import NamedTuple

NS = 1_000_000_000

Shape = tuple[tuple[int, int], ...]
"""(length, weight) of each piece: lengths are shares of the phase, weights are relative rates."""

CONSTANT: Shape = ((1, 1),)
SPIKES: Shape = ((9, 1), (1, 11)) * 10
"""Ten repeats of nine tenths at half the rate and one tenth at 5.5 times the rate."""
STEPS: Shape = ((1, 1), (1, 2), (1, 3), (1, 4))
"""Four equal stairs: 0.4, 0.8, 1.2 and 1.6 times the rate."""

SHAPES: Mapping[str, Shape] = {
    "baseline": CONSTANT, "target": CONSTANT, "stress": CONSTANT, "extreme": CONSTANT, "spike": SPIKES, "step": STEPS,
}  # fmt: skip


class RatePiece(NamedTuple):
    """Operations `first` to `last` (exclusive) at one rate: number i is due at (origin + i * step) // scale."""

    first: int
    last: int
    origin: int
    step: int
    scale: int


class Arrivals:
    """The due times of one phase: operation 0 at `start_ns`, the last one before `end_ns`.

    Exact: due times are rounded down to the nanosecond one by one, never added up.

    Args:
        rate_per_s: mean operations per second over the phase.
        profile: a name in `SHAPES`.
        start_ns, end_ns: the phase on the driver's clock.

    Raises:
        ValueError: an unknown profile, or a rate that is not above 0.
    """

    def __init__(self, rate_per_s: float, profile: str, start_ns: int, end_ns: int) -> None:
        if profile not in SHAPES:
            raise ValueError(f'profile: must be one of {", ".join(SHAPES)}, got "{profile}"')
        if not 0 < rate_per_s < float("inf"):
            raise ValueError(f"rate: must be above 0, got {rate_per_s:g}")
        # The decimal as written: 0.1 is a tenth, not the nearest binary fraction.
        self._pieces = tuple(_pieces(Fraction(str(rate_per_s)), SHAPES[profile], start_ns, max(start_ns, end_ns)))
        self._firsts = tuple(piece.first for piece in self._pieces)
        self.total = self._pieces[-1].last
        """Operations in the whole phase."""

    def due_by(self, now_ns: int) -> int:
        """Return how many operations are due at or before `now_ns`."""
        due = 0
        for piece in self._pieces:
            reached = -(((now_ns + 1) * piece.scale - piece.origin) // -piece.step)
            if reached < piece.last:
                return max(due, reached)
            due = piece.last
        return due

    def time_ns(self, index: int) -> int:
        """Return when operation `index` is due; past the last one, as if the last piece continued."""
        piece = self.piece_of(index)
        return (piece.origin + index * piece.step) // piece.scale

    def piece_of(self, index: int) -> RatePiece:
        """Return the piece that operation `index` belongs to: for loops that compute due times themselves."""
        return self._pieces[bisect_right(self._firsts, index) - 1]


def _pieces(rate_per_s: Fraction, shape: Shape, start_ns: int, end_ns: int) -> Iterator[RatePiece]:
    lengths = sum(length for length, _ in shape)
    unit = Fraction(lengths, sum(length * weight for length, weight in shape)) * rate_per_s / NS
    passed, issued = 0, Fraction(0)
    for length, weight in shape:
        rate = weight * unit  # operations per nanosecond
        piece_ns = Fraction((end_ns - start_ns) * length, lengths)
        begin_ns = start_ns + Fraction((end_ns - start_ns) * passed, lengths)
        last = issued + rate * piece_ns
        # Number i is due at begin + (i - issued) / rate.
        origin, step = begin_ns - issued / rate, 1 / rate
        scale = lcm(origin.denominator, step.denominator)
        yield RatePiece(_ceil(issued), _ceil(last), int(origin * scale), int(step * scale), scale)
        passed, issued = passed + length, last


def _ceil(number: Fraction) -> int:
    return -(-number.numerator // number.denominator)
