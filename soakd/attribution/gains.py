"""What one thing gained in each of the two windows of a look, and whether that lasts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

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
    def lasts_in_number(self) -> bool:
        """The same of what is counted, where one or two are chance."""
        return self.total >= LEAST_GAIN and self.lasts


def between(readings: list[Counter[str]], operations: tuple[int, int]) -> Iterator[tuple[str, Gain]]:
    """Yield what is there by name, with its gain.

    `readings` were taken before and after the first window, and before and after the second.
    """
    for name, count in readings[3].items():
        yield name, Gain(readings[1][name] - readings[0][name], count - readings[2][name], operations)


def lasting(
    before: Mapping[str, int], present: Mapping[str, int], operations: tuple[int, int]
) -> dict[str, float]:  # fmt: skip
    """Return the rates of the second window, per operation, of what became more in both.

    Counting began with the first window, at none.
    """
    gains = {
        name: Gain(before.get(name, 0), count - before.get(name, 0), operations) for name, count in present.items()
    }
    return {name: gain.per_operation for name, gain in gains.items() if gain.lasts_in_number}
