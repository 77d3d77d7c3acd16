"""Which leak would have been seen: the rate at which 95 of 100 leaks are called FAIL."""

from statistics import NormalDist

ONE_SIDE = 0.025
"""The probability below the low end of an interval."""
STRAY = 1.0
"""How far an estimate strays from the true rate, in widths from the middle of an interval to its low end.

In 95 of 100 series it is less: 0.84 if intervals were normal. Calibrated on made-up series (`tests/detecting.py`).
"""


def detectable_95(floor: float, width: float, *, error: float = ONE_SIDE) -> float:
    """The rate that is seen with 95 %, in the unit of both arguments.

    A leak is called FAIL where the low end of its interval is above the floor. At limit + width that is a coin toss:
    the estimate lies as often below the true rate as above it.

    Args:
        floor: what growth must exceed: the limit, or what the signal resolves.
        width: from the estimate down to the low end of its interval.
        error: the probability of growth within the limit with which a check may still fail.
    """
    return floor + (widths_asked(error) + STRAY) * width


def widths_asked(error: float) -> float:
    """How many widths below the estimate the limit must lie for a FAIL: 1, and more for less error than usual."""
    return NormalDist().inv_cdf(1.0 - min(error, ONE_SIDE)) / NormalDist().inv_cdf(1.0 - ONE_SIDE)
