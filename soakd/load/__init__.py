"""What drives an engine: arrivals, mixes and tapes, drivers, the latency recorder. Knows no engine."""

from soakd.load.arrivals import Arrivals
from soakd.load.async_driver import AsyncDriver
from soakd.load.recorder import Lanes, new_recorder
from soakd.load.sync_driver import SyncDriver
from soakd.load.tape import Tape, build_tape

__all__ = ["Arrivals", "AsyncDriver", "Lanes", "SyncDriver", "Tape", "build_tape", "new_recorder"]
