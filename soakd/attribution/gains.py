"""What one thing gained in each of the two windows of a look, and whether that lasts."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

KEEPS_GROWING = 0.67
"""What grew in the second window at less than this share of its first rate was filling, not leaking."""


class Gain(NamedTuple):
    """What became more: bytes, entries or things."""

    first: float
    second: float
    operations: tuple[int, int]
    """How many there were in each window."""

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
        """Whether the second window shows most of the first's rate, or more."""
        return self.per_operation >= KEEPS_GROWING * self.first / self.operations[0]


def between(readings: list[Counter[str]], operations: tuple[int, int]) -> Iterator[tuple[str, Gain]]:
    """Yield what is there by name, with its gain.

    `readings` were taken before and after the first window, and before and after the second.
    """
    for name, count in readings[3].items():
        yield name, Gain(readings[1][name] - readings[0][name], count - readings[2][name], operations)
