"""On PYTHONPATH of a daemon under test: SIGUSR1 freezes the thread of its event loop, as a bug would."""

import signal
import sys
import time


def freeze(*_: object) -> None:
    time.sleep(1e6)


if sys.argv[:1] != ["-c"]:
    signal.signal(signal.SIGUSR1, freeze)
