"""The growth of one thing in each of the two windows of a look, and whether it lasts."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, Self

KEEPS_GROWING = 0.67
"""Growth in the second window at less than this share of the first window's rate is filling, not leaking."""
LEAST_GAIN = 3
"""The least growth over both windows, in entries, blocks or things."""


class Gain(NamedTuple):
    """The growth of a number of bytes, entries or things."""

    first: float
    second: float
    operations: tuple[int, int]
    """The number of operations in each window."""

    @classmethod
    def since(cls, middle: float, now: float, operations: tuple[int, int]) -> Self:
        """Build a gain from counts at the end of each window, for counting that began at zero with the first."""
        return cls(middle, now - middle, operations)

    @property
    def total(self) -> float:
        """The growth in both windows together."""
        return self.first + self.second

    @property
    def per_operation(self) -> float:
        """The rate in the second window, by which time caches have filled."""
        return self.second / self.operations[1]

    @property
    def lasts(self) -> bool:
        """Whether it grew in the first window, and kept most of that rate, or more, in the second."""
        return self.first > 0 and self.per_operation >= KEEPS_GROWING * self.first / self.operations[0]

    @property
    def goes_on(self) -> bool:
        """Whether it grew in both windows by more than chance; for counts, not bytes."""
        return self.first > 0 and self.second > 0 and self.total >= LEAST_GAIN

    @property
    def lasts_in_number(self) -> bool:
        """Whether a count grows in both windows, at a rate that lasts."""
        return self.goes_on and self.lasts


def between(readings: list[Counter[str]], operations: tuple[int, int]) -> Iterator[tuple[str, Gain]]:
    """Yield each name with its gain.

    The `readings` are from before and after the first window, and before and after the second.
    """
    for name, count in readings[3].items():
        yield name, Gain(readings[1][name] - readings[0][name], count - readings[2][name], operations)
