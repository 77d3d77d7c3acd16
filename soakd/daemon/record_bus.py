"""The way of every record: to those that must act at once, into the journal, and to those that show what is known."""

import dataclasses
from collections.abc import Callable, Sequence

from soakd.wire.records import Record


class RecordBus:
    """Passes records on to listeners, in the order in which these were added.

    Args:
        life: of the daemon: the segment of records of the run itself, which names the clock that they were read on.
    """

    def __init__(self, life: int = 0) -> None:
        self.before_commit: list[Callable[[Record], None]] = []
        """They take each record at once. The journal comes first: whatever becomes of the others, it has the record."""
        self.after_commit: list[Callable[[Sequence[Record]], None]] = []
        """They take each batch once it is on disk: what is shown, answered or sent is never lost."""
        self._life = life

    def put(self, record: Record) -> None:
        """Take a record from its maker."""
        if not record.engine and self._life:
            record = dataclasses.replace(record, segment=self._life)
        for listener in self.before_commit:
            listener(record)

    def committed(self, batch: Sequence[Record]) -> None:
        """Take a batch that the journal has committed."""
        for listener in self.after_commit:
            listener(batch)
