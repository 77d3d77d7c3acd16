"""Engines that start processes which want to get away."""

import os
import subprocess
import sys
from collections.abc import Callable

DAEMON = """
import os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
os.closerange(0, 256)
os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]], {})
"""


def with_relatives(mark: str) -> Callable[[], object]:
    """Leave a child in a session of its own, a grandchild in one, and a daemon that has forked twice and forgot all."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", mark], start_new_session=True)
    subprocess.Popen(["setsid", "sh", "-c", '"$0" -c "import time; time.sleep(600)" "$1" & wait', sys.executable, mark])
    subprocess.run([sys.executable, "-c", DAEMON, mark], check=True)
    assert os.getpid() > 1
    return lambda: bytes(100)
