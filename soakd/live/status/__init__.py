"""The state of a run so far. Every live output reads it, and computes nothing itself.

Records are added as they are committed. There is no clock here: `now_s` is CLOCK_MONOTONIC seconds. Memory is bounded,
however long the run and whatever the engines send.
"""

from soakd.live.status.engine import OWN_COUNTERS, EngineStatus
from soakd.live.status.history import BUCKETS, History, units_of
from soakd.live.status.parts import BOUNDS_S, LatencyTotals, answer_so_far, printable
from soakd.live.status.recall import recalled
from soakd.live.status.run import RunStatus
from soakd.live.status.server import ServerStatus

__all__ = [
    "BOUNDS_S",
    "BUCKETS",
    "OWN_COUNTERS",
    "EngineStatus",
    "History",
    "LatencyTotals",
    "RunStatus",
    "ServerStatus",
    "answer_so_far",
    "printable",
    "recalled",
    "units_of",
]
