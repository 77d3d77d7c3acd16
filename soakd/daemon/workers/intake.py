"""What arrives in the record pipe of one worker: its records, and lines that are not its own.

Anything in the worker's process can write to its file descriptors: a library that has the wrong number, a child. Each
line of the worker begins with a key that was made for this life; a line without it is counted and never read. A record
with the key is accepted only if it is of the pipe's engine and life, and fits what came before.
"""

import os
from collections.abc import Callable, Iterator

from soakd.wire.bounds import LONGEST_LINE_BYTES
from soakd.wire.records import Hello, Record, Sample, decode, opened

KEY_BYTES = 8
DAEMON_KINDS = ("server",)
"""Kinds of records that only the daemon makes."""


class Intake:
    """Reads the records of one life of one engine from bytes, and counts everything else.

    Args:
        engine, segment: whose life it is.
        on_record: called with each of its records.
    """

    def __init__(self, engine: str, segment: int, on_record: Callable[[Record], None]) -> None:
        self.key = os.urandom(KEY_BYTES).hex()
        self.pid: int | None = None
        """Of the worker; None until it is known."""
        self.garbled = 0
        """Lines that are not the worker's, or not a record."""
        self.refused = 0
        """Records that the worker of this life cannot have sent, or not at that moment."""
        self.stranger: int | None = None
        """The pid of another process that sent a hello; None where none did."""
        self._engine, self._segment = engine, segment
        self._on_record = on_record
        self._buffer = b""
        self._seen_kinds: set[str] = set()
        self._last_refusal = ""
        self._reported = {"garbled": 0, "records_refused": 0}

    def feed(self, data: bytes) -> None:
        """Read the whole lines; keep the rest until its end arrives."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > LONGEST_LINE_BYTES:
            self._buffer = b""
            self.garbled += 1
        for line in lines:
            self._take(line)

    def end(self) -> None:
        """Count half a line after `bye`; without a `bye` the worker was cut off in it, which its end shows."""
        if self._buffer and "bye" in self._seen_kinds:
            self.garbled += 1
        self._buffer = b""

    def news(self, *, all_of_it: bool) -> Iterator[tuple[str, str, int]]:
        """Yield the incidents of what was counted since the last call: what, a sentence, how many.

        Args:
            all_of_it: yield everything; otherwise only a count that has doubled, so that a flood is few incidents.
        """
        counts = {"garbled": self.garbled, "records_refused": self.refused}
        for what, count in counts.items():
            new = count - self._reported[what]
            if new and (all_of_it or count >= 2 * self._reported[what]):
                self._reported[what] = count
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
        self._seen_kinds.add(record.kind)
        self._on_record(record)

    def _refusal(self, record: Record) -> str | None:
        """Return why a record is refused; None where it is accepted."""
        if (record.engine, record.segment) != (self._engine, self._segment):
            return f"a {record.kind} of {record.engine[:60]!r}, life {record.segment + 1}, is of another worker"
        if "bye" in self._seen_kinds:
            return f"a {record.kind} after bye"
        if record.kind == "hello":
            return self._refusal_of_hello(record.pid if isinstance(record, Hello) else None)
        if record.kind in DAEMON_KINDS or (isinstance(record, Sample) and record.source is not None):
            return f"a {record.kind} that only soakd itself makes"
        return None

    def _refusal_of_hello(self, pid: object) -> str | None:
        if "hello" in self._seen_kinds:
            return "a second hello"
        if pid != self.pid:
            self.stranger = pid if type(pid) is int else -1
            return f"a hello of pid {pid!r:.20}, not of {self.pid}"
        return None
