"""Growth of what an engine holds outside of its memory: files without a name, queues of the kernel, its disk.

Judged as counts are: the level at the end less that at the start, which bursts in either do not move, and whether it
goes on. There is a check where any of it was read often enough.
"""

from collections.abc import Iterator

import numpy as np

from soakd.judge.checks.counts import allowed_bytes, level_check
from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check, round_number

LEAST_BYTES = 1e6
"""Buffers and logs of that size come and go in healthy engines."""
DECIDES = {"held_file_bytes": True, "queued_bytes": True, "scratch_bytes": True, "open_file_bytes": False}
"""Signal -> whether it decides. A file that is open for writing may be a log, which somebody else rotates."""


def check_holdings(data: EngineData) -> Iterator[Check]:
    """Judge what was ever held."""
    limit = max(LEAST_BYTES, round_number(allowed_bytes(data), 3) or 0.0)
    for signal, decides in DECIDES.items():
        series = data.trend(signal)
        if np.any(series.y > 0.0) and series.judged_lives():
            yield level_check(signal, series, limit, unit="bytes", decides=decides)
