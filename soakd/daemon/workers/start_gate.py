"""The start of a run: the moment when every engine stands ready, from which all of them count."""

import asyncio
import time
from collections.abc import Callable, Iterable

from soakd.procs.proc import now
from soakd.wire.records import Record, make_record


class StartGate:
    """Holds the workers back until every engine is ready; that moment is the run's origin.

    Args:
        names: of the engines.
        put: takes the record of the origin.
        origin_s: CLOCK_MONOTONIC of the origin of a run that is resumed; its gate is open.
    """

    def __init__(self, names: Iterable[str], put: Callable[[Record], None], origin_s: float | None = None) -> None:
        self.origin_s = origin_s
        """CLOCK_MONOTONIC of the moment when every engine stood ready; None until then."""
        self.started = asyncio.Event()
        if origin_s is not None:
            self.started.set()
        self._waiting = set(names)
        self._put = put

    def ready(self, name: str) -> None:
        """Note that an engine is ready, or will never be; the last one opens the gate."""
        self._waiting.discard(name)
        if not self._waiting and self.origin_s is None:
            self.origin_s = time.monotonic()
            body = {"name": "origin", "mono_s": self.origin_s}
            self._put(make_record("phase", engine="", segment=0, at=now(), body=body))
            self.started.set()
