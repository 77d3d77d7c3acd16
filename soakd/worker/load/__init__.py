"""What drives an engine: arrivals, mixes and tapes, drivers, the latency recorder. Knows no engine."""

from soakd.worker.load.arrivals import Arrivals
from soakd.worker.load.async_driver import AsyncDriver
from soakd.worker.load.recorder import Lanes, new_recorder
from soakd.worker.load.sync_driver import SyncDriver
from soakd.worker.load.tape import Tape, build_tape

__all__ = ["Arrivals", "AsyncDriver", "Lanes", "SyncDriver", "Tape", "build_tape", "new_recorder"]
