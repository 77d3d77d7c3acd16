"""Autocorrelated noise: AR(1) with a correlation time, so that gaps and unequal spacing need no special care."""

import numpy as np

from soakd.judge.growth.series import FloatArray

CORRELATION_TIMES = (0.0, 0.018, 0.03, 0.06, 0.1, 0.2, 0.4, 1.0)
"""Shares of the segment, equally probable beforehand."""
MAX_CORRELATION = 0.9999
"""Two blocks whose minima nearly touch are still two observations."""


def correlation(x: FloatArray, time: float) -> FloatArray:
    """Correlation of neighbours, shape (n - 1,), of blocks at x, shape (n,); `time` is in the unit of x."""
    if time == 0.0:
        return np.zeros(x.size - 1)
    return np.minimum(np.exp(-np.diff(x) / time), MAX_CORRELATION)


def whiten(series: FloatArray, rho: FloatArray) -> tuple[FloatArray, float]:
    """Remove AR(1) correlation of unit variance.

    Args:
        series: shape (n, k), k columns in any units.
        rho: shape (n - 1,), correlations of neighbours in [0, 1).

    Returns:
        The whitened series, shape (n, k), and log|R|, the log-determinant of the correlation matrix.

    Source: G. E. P. Box and G. M. Jenkins, "Time Series Analysis" (1970), ch. 7.
    """
    left = 1.0 - rho**2
    white = series.copy()
    white[1:] = (series[1:] - rho[:, None] * series[:-1]) / np.sqrt(left)[:, None]
    return white, float(np.sum(np.log(left)))
