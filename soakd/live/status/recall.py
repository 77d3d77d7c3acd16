"""The series of a run that is resumed, out of its journal. Takes seconds, and is done beside everything else."""

import time
from pathlib import Path

from soakd.live.status.run import RunStatus
from soakd.record.resume import Resumption, spread

AT_ONCE = 100
PAUSE_S = 0.005
"""A thread that reads shares the interpreter with the daemon's loop: after `AT_ONCE` records it stands back so long."""


def recalled(path: Path, run_id: str, resumption: Resumption) -> RunStatus:
    """Read a run's journal into a status of its own, of which only series and snapshots are whole.

    Raises:
        JournalError: it cannot be read.
    """
    past = RunStatus(resumption.plan, run_id)
    for number, record in enumerate(spread(path, resumption)):
        past.fold([record])
        if number % AT_ONCE == 0:
            time.sleep(PAUSE_S)
    return past
