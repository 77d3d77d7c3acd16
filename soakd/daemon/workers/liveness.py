"""Signs of life of the workers, and of the daemon itself: while it stands still, it hears no worker."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from soakd.wire.records import Phase, Record, Sample
from soakd.wire.spec import LOADED_PHASES

WATCH_EVERY_S = 0.5
STANDSTILL_S = 2.0
"""A round of the work loop that comes so late shows that soakd itself was stopped."""


@dataclass(slots=True)
class Liveness:
    """The last signs of life of one worker, on CLOCK_MONOTONIC."""

    heard_s: float = field(default_factory=time.monotonic)
    operations: float = -1.0
    operated_s: float = field(default_factory=time.monotonic)
    phase: str | None = None
    entered: str | None = None
    """The phase that the worker entered last, by its phase records; its samples name it later, or never."""
    is_looked_at: bool = False
    """A tool of a deep look is switched on in it."""

    def note(self, record: Record) -> None:
        """Take in one record."""
        self.heard_s = time.monotonic()
        if isinstance(record, Phase):
            self.entered = record.name
        if not isinstance(record, Sample):
            return
        self.is_looked_at = "note.deep_window" in record.readings
        phase, operations = record.phase, record.readings.get("operations_total", 0)
        if operations != self.operations or phase != self.phase or phase not in LOADED_PHASES:
            self.operated_s = self.heard_s
        self.phase, self.operations = phase, operations

    def spare(self, seconds: float) -> None:
        """Leave out a time in which the daemon could not have heard it."""
        self.heard_s += seconds
        self.operated_s += seconds


class Rounds:
    """When the work loop last came round.

    Args:
        every_s: how often it does, seconds.
        now_s: CLOCK_MONOTONIC, seconds.
    """

    def __init__(self, every_s: float, now_s: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._now_s = now_s
        self._last_s: float | None = None

    def missed_s(self) -> float:
        """Note a round; return how late it is if that is a standstill, else 0.

        Only the first call after a standstill returns it.
        """
        before_s, self._last_s = self._last_s, self._now_s()
        late_s = 0.0 if before_s is None else self._last_s - before_s - self._every_s
        return late_s if late_s >= STANDSTILL_S else 0.0
