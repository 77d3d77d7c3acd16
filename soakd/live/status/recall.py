"""Reads the series of a resumed run from its journal. It takes seconds, and runs in the background."""

import time
from pathlib import Path

from soakd.live.status.run import RunStatus
from soakd.record.resume import Resumption, spread

AT_ONCE = 100
PAUSE_S = 0.005
"""The pause of the reading thread after `AT_ONCE` records: it shares the interpreter with the daemon's loop."""


def recalled(path: Path, run_id: str, resumption: Resumption) -> RunStatus:
    """Read a run's journal into a separate status, in which only series and snapshots are complete.

    Raises:
        JournalError: it cannot be read.
    """
    past = RunStatus(resumption.plan, run_id)
    for number, record in enumerate(spread(path, resumption)):
        past.fold([record])
        if number % AT_ONCE == 0:
            time.sleep(PAUSE_S)
    return past
