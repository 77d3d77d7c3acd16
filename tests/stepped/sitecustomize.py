"""On PYTHONPATH of a daemon under test: its wall clock steps by an hour as soon as a file is there."""

import os
import sys
import time

_true_time = time.time
_MARK = os.environ.get("STEPPED_MARK", "")


def stepped_time() -> float:
    return _true_time() + (3600.0 if os.path.exists(_MARK) else 0.0)  # noqa: PTH110 - asked for at every reading


if _MARK and "run" in sys.argv:  # of the daemon, not of its judge
    time.time = stepped_time
