"""What comes out of the record pipe of one worker: its records, and what is none of them.

Anything in the worker's process can write to its file descriptors: a library that has one wrong, a child. Each line of
the worker begins with a key that was made for this life; what does not have it is counted and never read. A record with
the key counts only where it is of the engine and the life that the pipe belongs to, and fits what came before.
"""

import os
from collections.abc import Callable, Iterator

from soakd.wire.bounds import LONGEST_LINE_BYTES
from soakd.wire.records import Record, decode, opened

KEY_BYTES = 8
NOT_A_WORKERS = ("server",)
"""Kinds of records that only the daemon makes."""


class Intake:
    """Takes the records of one life of one engine out of bytes, and counts what else there was.

    Args:
        engine, segment: the life's.
        on_record: told of each of its records.
    """

    def __init__(self, engine: str, segment: int, on_record: Callable[[Record], None]) -> None:
        self.key = os.urandom(KEY_BYTES).hex()
        self.pid: int | None = None
        """The worker's; None until it is known."""
        self.garbled = 0
        """Lines that were not the worker's, or no record."""
        self.refused = 0
        """Records that the worker of this life cannot have sent, or not at that time."""
        self.stranger: int | None = None
        """The pid of another process that said hello, where one did."""
        self._engine, self._segment = engine, segment
        self._on_record = on_record
        self._buffer = b""
        self._has_said: set[str] = set()
        self._last_refusal = ""
        self._told = {"garbled": 0, "records_refused": 0}

    def feed(self, data: bytes) -> None:
        """Take the lines that are whole; the rest waits for its end."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > LONGEST_LINE_BYTES:
            self._buffer = b""
            self.garbled += 1
        for line in lines:
            self._take(line)

    def end(self) -> None:
        """Count half a line after `bye`; without one the worker was cut off in it, as its end says."""
        if self._buffer and "bye" in self._has_said:
            self.garbled += 1
        self._buffer = b""

    def news(self, *, all_of_it: bool) -> Iterator[tuple[str, str, int]]:
        """Yield the incidents of what was counted since the last call: what, a sentence, how many.

        Args:
            all_of_it: tell of everything; otherwise only where the count has doubled, so that a flood is few incidents.
        """
        counts = {"garbled": self.garbled, "records_refused": self.refused}
        for what, count in counts.items():
            new = count - self._told[what]
            if new and (all_of_it or count >= 2 * self._told[what]):
                self._told[what] = count
                yield what, self._sentence(what, new), new

    def _sentence(self, what: str, count: int) -> str:
        lines = "1 line in the record pipe was" if count == 1 else f"{count} lines in the record pipe were"
        if what == "garbled":
            return f"{lines} not the worker's: something else writes to its file descriptor"
        return f"{lines} refused: {self._last_refusal}"

    def _take(self, line: bytes) -> None:
        try:
            record = decode(opened(line, self.key))
        except ValueError:
            self.garbled += 1
            return
        if (refusal := self._refusal(record)) is not None:
            self.refused += 1
            self._last_refusal = refusal
            return
        self._has_said.add(record.kind)
        self._on_record(record)

    def _refusal(self, record: Record) -> str | None:
        """Say why a record is not taken; None where it is."""
        if (record.engine, record.segment) != (self._engine, self._segment):
            return f"a {record.kind} of {record.engine[:60]!r}, life {record.segment + 1}, is of another worker"
        if "bye" in self._has_said:
            return f"a {record.kind} after bye"
        if record.kind == "hello":
            return self._refusal_of_hello(record.body.get("pid"))
        if record.kind in NOT_A_WORKERS or (record.kind == "sample" and "source" in record.body):
            return f"a {record.kind} that only soakd itself makes"
        return None

    def _refusal_of_hello(self, pid: object) -> str | None:
        if "hello" in self._has_said:
            return "a second hello"
        if pid != self.pid:
            self.stranger = pid if type(pid) is int else -1
            return f"a hello of pid {pid!r:.20}, not of {self.pid}"
        return None
