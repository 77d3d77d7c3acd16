"""The writing side of a journal: one thread, batches of at most a second."""

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from soakd.errors import JournalError
from soakd.plaintext import escaped
from soakd.record.journal.headings import Headings, compact
from soakd.record.journal.schema import STAMPED, connect, create, headings_of
from soakd.wire.masking import masked
from soakd.wire.records import READINGS, Record, with_body

BATCH_S = 1.0
QUEUE_LENGTH = 50_000
ROOM_FOR_EVENTS = 5_000
"""Room that is left for events when readings are dropped: further readings follow, an event does not repeat."""
END_EVERY_S = 0.02

_INSERT_PLAIN = f"INSERT INTO record ({STAMPED}, body) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - columns, no values
_INSERT = f"INSERT INTO record ({STAMPED}, heading, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608


class Journal:
    """The writing side. `put` never blocks: if the queue is full, the record is dropped and counted.

    `dropped` counts all records that were lost; `events_dropped` those of them that are events.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_commit: Callable[[Sequence[Record]], None],
        on_failure: Callable[[JournalError], None],
    ) -> None:
        """Open or create the file and start the writer thread.

        Args:
            path: the SQLite file.
            on_commit: called in the writer thread with each committed batch.
            on_failure: called once, in the writer thread, when the file can no longer be written.

        Raises:
            JournalError: the file cannot be created, or is not a journal that this version can write.
        """
        self.dropped = self.events_dropped = 0
        self._given = self._committed = 0
        self._counting = threading.Lock()
        self._finishing = False
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._queue: queue.Queue[Record | None] = queue.Queue(QUEUE_LENGTH + ROOM_FOR_EVENTS)
        self._path = path
        try:
            self._db = create(path)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: cannot be written: {escaped(str(error))}") from error
        self._headings = headings_of(path, self._db)
        self._thread = threading.Thread(target=self._write_batches, name="journal", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Pass a record to the writer, with the secrets in its texts masked: no file has them."""
        if record.kind in READINGS and self._queue.qsize() >= QUEUE_LENGTH:
            self._drop(record)
            return
        try:
            self._queue.put_nowait(_without_secrets(record))
            self._given += 1
        except queue.Full:
            self._drop(record)

    @property
    def lost(self) -> Mapping[str, int]:
        """The numbers of dropped records, for the run's last record."""
        return {"records_dropped": self.dropped, "events_dropped": self.events_dropped}

    def written(self) -> tuple[int, int]:
        """Return how many records were committed, and how many were accepted."""
        return self._committed, self._given

    def set_meta(self, values: Mapping[str, Any]) -> None:
        """Commit facts about the run, as JSON values, at once.

        Raises:
            JournalError: they cannot be written.
        """
        rows = [(key, json.dumps(value, allow_nan=False)) for key, value in values.items()]
        try:
            with connect(self._path) as db:
                db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
            db.close()
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: cannot be written: {escaped(str(error))}") from error

    async def ended(self) -> None:
        """Commit the queue and close the file, without a waiting thread: a daemon out of memory cannot start one."""
        while not self._finishing:
            try:
                self._queue.put_nowait(None)
                self._finishing = True
            except queue.Full:
                await asyncio.sleep(END_EVERY_S)
        while self._thread.is_alive():  # noqa: ASYNC110 - it ends in a thread
            await asyncio.sleep(END_EVERY_S)
        self._db.close()

    def close(self) -> None:
        """Commit the queue and close the file."""
        if not self._finishing:
            self._finishing = True
            self._queue.put(None)
        self._thread.join()
        self._db.close()

    def _write_batches(self) -> None:
        batch: list[Record] | None = None
        try:
            while (batch := self._next_batch()) is not None:
                self._commit(batch)
        except sqlite3.Error as error:
            self._on_failure(JournalError(f"{self._path}: cannot be written: {error}"))
            for record in (*(batch or ()), *iter(self._queue.get, None)):
                self._drop(record)

    def _drop(self, record: Record) -> None:
        with self._counting:
            self.dropped += 1
            self.events_dropped += record.kind not in READINGS

    def _next_batch(self) -> list[Record] | None:
        """Wait for a record, then collect those that follow within `BATCH_S`; None at the end."""
        record = self._queue.get()
        if record is None:
            return None
        batch, until_s = [record], time.monotonic() + BATCH_S
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                record = self._queue.get(timeout=left_s)
            except queue.Empty:
                break
            if record is None:
                self._queue.put(None)
                break
            batch.append(record)
        return batch

    def _commit(self, batch: Sequence[Record]) -> None:
        with self._db:
            if self._headings is None:
                rows = [(r.kind, r.engine, r.segment, *r.at, compact(r.body)) for r in batch]
                self._db.executemany(_INSERT_PLAIN, rows)
            else:
                self._db.executemany(_INSERT, [self._row(record, self._headings) for record in batch])
        self._committed += len(batch)
        self._on_commit(batch)

    def _row(self, record: Record, headings: Headings) -> tuple[Any, ...]:
        if record.kind == "sample":
            number, new, body = headings.split(record.body)
            if new:
                self._db.execute("INSERT INTO heading VALUES (?, ?)", (number, new))
        else:
            number, body = None, compact(record.body)
        return (record.kind, record.engine, record.segment, *record.at, number, body)


def _without_secrets(record: Record) -> Record:
    """Mask secrets in texts from engines, servers and errors. Packed latencies are numbers, and skipped."""
    if record.kind == "latency" or (said := masked(record.body)) == record.body:
        return record
    return with_body(record, said)
