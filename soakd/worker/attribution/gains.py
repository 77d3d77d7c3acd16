"""What one thing gained in each of the two windows of a look, and whether that lasts."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, Self

KEEPS_GROWING = 0.67
"""What grew in the second window at less than this share of its first rate was filling, not leaking."""
LEAST_GAIN = 3
"""Entries, blocks or things in both windows."""


class Gain(NamedTuple):
    """What became more: bytes, entries or things."""

    first: float
    second: float
    operations: tuple[int, int]
    """How many there were in each window."""

    @classmethod
    def since(cls, middle: float, now: float, operations: tuple[int, int]) -> Self:
        """Make one of what was counted from the first window on, at none, at the end of each."""
        return cls(middle, now - middle, operations)

    @property
    def total(self) -> float:
        """In both windows."""
        return self.first + self.second

    @property
    def per_operation(self) -> float:
        """In the second window: what a first one still fills has been filled by then."""
        return self.second / self.operations[1]

    @property
    def lasts(self) -> bool:
        """Whether it grew in the first window, and the second shows most of that rate, or more."""
        return self.first > 0 and self.per_operation >= KEEPS_GROWING * self.first / self.operations[0]

    @property
    def goes_on(self) -> bool:
        """Whether it grew in both windows, by more than chance: of what is counted, not of bytes."""
        return self.first > 0 and self.second > 0 and self.total >= LEAST_GAIN

    @property
    def lasts_in_number(self) -> bool:
        """Whether it goes on at a rate that lasts."""
        return self.goes_on and self.lasts


def between(readings: list[Counter[str]], operations: tuple[int, int]) -> Iterator[tuple[str, Gain]]:
    """Yield what is there by name, with its gain.

    `readings` were taken before and after the first window, and before and after the second.
    """
    for name, count in readings[3].items():
        yield name, Gain(readings[1][name] - readings[0][name], count - readings[2][name], operations)
