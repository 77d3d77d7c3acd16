"""Which leak would have been detected: the rate at which 95 of 100 leaks are called FAIL."""

CHECK_ERROR = 0.01
"""A check of growth fails only where the probability of growth within its limit is at most this."""
STRAY = 1.0
"""How far an estimate strays from the true rate, in widths from the middle of an interval to its low end.

In 95 of 100 series it is less: 0.84 if intervals were normal. Calibrated on made-up series (`tests/detecting.py`).
"""


def detectable_95(floor: float, certain_width: float, width: float) -> float:
    """The rate that is detected with 95 %, in the unit of all arguments.

    A leak is called FAIL where the low end of its interval is above the floor. At floor + width that is a coin toss:
    the estimate lies as often below the true rate as above it.

    Args:
        floor: what growth must exceed: the limit, or what the signal resolves.
        certain_width: from the estimate down to the rate that growth is below with a chance of `CHECK_ERROR`.
        width: from the estimate down to the low end of its interval.
    """
    return floor + certain_width + STRAY * width
