"""Growth of what an engine holds outside its memory: files without a name, kernel queues, disk space.

Judged like counts: the level at the end minus that at the start, which is robust to bursts, whether growth continues,
and what rises after a fall or at the very end. There is a check if it was read often enough.
"""

from collections.abc import Iterator

import numpy as np

from soakd.judge.checks.counts import allowed_bytes, count_check
from soakd.judge.story.rundata import EngineData
from soakd.verdict.check import Check, round_number

LEAST_BYTES = 1e6
"""Buffers and logs of that size come and go in healthy engines."""
DECIDES = {
    "held_file_bytes": True, "queued_bytes": True, "scratch_bytes": True, "open_file_bytes": False,
    "cgroup_shmem_bytes": False, "cgroup_sock_bytes": False, "cgroup_kernel_bytes": False, "cgroup_slab_bytes": False,
}  # fmt: skip
"""Signal -> whether it decides. A file that is open for writing may be a log that something else rotates; the
kernel may keep caches that it charges to a cgroup for as long as memory is plenty."""


def check_holdings(data: EngineData) -> Iterator[Check]:
    """Judge everything that was ever held."""
    limit = max(LEAST_BYTES, round_number(allowed_bytes(data), 3) or 0.0)
    for signal, decides in DECIDES.items():
        series = data.trend(signal)
        if np.any(series.y > 0.0) and series.judged_lives():
            # no peaks: disk and queues have room for bursts, as a table of descriptors has not
            yield count_check(data, signal, series, limit, unit="bytes", decides=decides, peaks=False)
