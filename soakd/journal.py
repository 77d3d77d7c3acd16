"""The journal: every record of a run in one SQLite file, committed in batches of at most a second.

One thread writes; everything else reads. A record is published (`on_commit`) only once it is on its way to the disk,
so that nothing that was ever shown can be missing from the file. Write-ahead logging lets the judge read meanwhile, and
lets `kill -9` lose the batch in flight and nothing else.
"""

import asyncio
import contextlib
import json
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soakd.errors import JournalError
from soakd.records import Record, Stamp

SCHEMA_VERSION = 1
BATCH_S = 1.0
QUEUE_LENGTH = 50_000
END_EVERY_S = 0.02
CACHE_KIB = 256
"""Pages that SQLite keeps: it appends. Its 2 MB by default fill in minutes, and are growth of soakd's own till then."""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    engine TEXT NOT NULL,
    segment INTEGER NOT NULL,
    wall_s REAL NOT NULL,
    boot_s REAL NOT NULL,
    mono_s REAL NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX record_by_engine ON record (engine, kind);
"""

_LAST = 2**63 - 1
_COLUMNS = "kind, engine, segment, wall_s, boot_s, mono_s, body"
_INSERT = "INSERT INTO record (kind, engine, segment, wall_s, boot_s, mono_s, body) VALUES (?, ?, ?, ?, ?, ?, ?)"


class Journal:
    """The writing side. `put` never blocks; a full queue drops the record and counts it in `dropped`."""

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
            on_failure: called in the writer thread, once, when the file cannot be written any more.

        Raises:
            JournalError: the file cannot be created, or is not a journal of this version.
        """
        self.dropped = 0
        self._given = self._committed = 0
        self._finishing = False
        self._on_commit = on_commit
        self._on_failure = on_failure
        self._queue: queue.Queue[Record | None] = queue.Queue(QUEUE_LENGTH)
        self._path = path
        try:
            self._db = _create(path)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: cannot be written: {error}") from error
        _check_version(path, self._db)
        self._thread = threading.Thread(target=self._write_batches, name="journal", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Hand a record over to the writer."""
        try:
            self._queue.put_nowait(record)
            self._given += 1
        except queue.Full:
            self.dropped += 1

    def written(self) -> tuple[int, int]:
        """Return how many records are committed, and how many were taken."""
        return self._committed, self._given

    def set_meta(self, values: Mapping[str, Any]) -> None:
        """Commit facts about the run, as JSON values, at once.

        Raises:
            JournalError: they cannot be written.
        """
        rows = [(key, json.dumps(value, allow_nan=False)) for key, value in values.items()]
        try:
            with _connect(self._path) as db:
                db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
            db.close()
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: cannot be written: {error}") from error

    async def ended(self) -> None:
        """Commit what is queued and close the file; no thread waits, for a daemon out of memory gets none."""
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
        """Commit what is queued and close the file."""
        if not self._finishing:
            self._finishing = True
            self._queue.put(None)
        self._thread.join()
        self._db.close()

    def _write_batches(self) -> None:
        try:
            for batch in iter(self._next_batch, None):
                self._commit(batch)
        except sqlite3.Error as error:
            self._on_failure(JournalError(f"{self._path}: cannot be written: {error}"))
            while self._queue.get() is not None:
                self.dropped += 1

    def _next_batch(self) -> list[Record] | None:
        """Wait for a record, then gather what follows within `BATCH_S`; None at the end."""
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
            self._db.executemany(_INSERT, [(r.kind, r.engine, r.segment, *r.at, _body(r)) for r in batch])
        self._committed += len(batch)
        self._on_commit(batch)


def read_meta(path: Path) -> dict[str, Any]:
    """Read the facts about a run.

    Raises:
        JournalError: no journal, not readable, or of another version.
    """
    with _Reader(path) as db:
        return {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM meta")}


def read_records(path: Path, *kinds: str, engine: str | None = None) -> Iterator[Record]:
    """Read the records of some kinds in the order of their commit, one at a time.

    Raises:
        JournalError: as for `read_meta`, or the file is damaged.
    """
    marks = ", ".join("?" * len(kinds))
    where, values = f"kind IN ({marks})", list(kinds)
    if engine is not None:
        where, values = f"{where} AND engine = ?", [*values, engine]
    with _Reader(path) as db:
        select = f"SELECT {_COLUMNS} FROM record WHERE {where} ORDER BY id"  # noqa: S608 - marks and columns, no values
        for row in db.execute(select, values):
            yield _record(row)


def read_spread(path: Path, kind: str, engine: str, *, places: int, each: int) -> Iterator[Record]:
    """Read some records of one kind from all over a run, in the order of their commit: never more than `places * each`.

    A run that has no more is read whole. Of a longer one `each` records in a row are read at `places` places, as far
    from each other as from the ends: what is read does not grow with the run.

    Raises:
        JournalError: as for `read_records`.
    """
    with _Reader(path) as db:
        ends = "SELECT MIN(id), MAX(id) FROM record WHERE engine = ? AND kind = ?"
        low, high = db.execute(ends, (engine, kind)).fetchone()
        if low is None:
            return
        select = f"SELECT id, {_COLUMNS} FROM record WHERE engine = ? AND kind = ? AND id >= ? ORDER BY id LIMIT ?"  # noqa: S608
        last = low - 1
        for place in range(places):
            begin = max(last + 1, low + (high - low) * place // places)
            for number, *row in db.execute(select, (engine, kind, begin, each)).fetchall():
                last = number
                yield _record(tuple(row))


def read_latest(
    path: Path, kind: str, engine: str, count: int, *, before: int | None = None, without: str = ""
) -> list[tuple[int, Record]]:
    """Read the last records of one kind of one engine, with their numbers, in the order of their commit.

    Args:
        path: the journal.
        kind: of records.
        engine: whose; "" for the run's own.
        count: how many at most.
        before: only records with smaller numbers.
        without: a text that their bodies do not contain; all where it is empty.

    Raises:
        JournalError: as for `read_records`.
    """
    select = f"""SELECT id, {_COLUMNS} FROM record WHERE engine = ? AND kind = ? AND id < ? AND (? = '' OR
        instr(body, ?) = 0) ORDER BY id DESC LIMIT ?"""  # noqa: S608 - columns, no values
    with _Reader(path) as db:
        rows = db.execute(select, (engine, kind, before or _LAST, without, without, count)).fetchall()
    return [(number, _record(tuple(row))) for number, *row in reversed(rows)]


def read_latest_number(path: Path) -> int:
    """Return the number of the last record; 0 where there is none.

    Raises:
        JournalError: as for `read_records`.
    """
    with _Reader(path) as db:
        return int(db.execute("SELECT COALESCE(MAX(id), 0) FROM record").fetchone()[0])


def read_since(path: Path, number: int, most: int = 10_000) -> list[tuple[int, Record]]:
    """Read the records after one, with their numbers, in the order of their commit.

    Raises:
        JournalError: as for `read_records`.
    """
    with _Reader(path) as db:
        select = f"SELECT id, {_COLUMNS} FROM record WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - columns
        rows = db.execute(select, (number, most)).fetchall()
    return [(found, _record(tuple(row))) for found, *row in rows]


def read_by_id(path: Path, ids: Iterable[int]) -> Iterator[Record]:
    """Read some records in the order of their commit; numbers that no record has are passed over.

    Raises:
        JournalError: as for `read_records`.
    """
    with _Reader(path) as db:
        for number in sorted(set(ids)):
            row = db.execute(f"SELECT {_COLUMNS} FROM record WHERE id = ?", (number,)).fetchone()  # noqa: S608
            if row is not None:
                yield _record(row)


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the file a question of our own, and read the whole answer.

    Raises:
        JournalError: as for `read_meta`, or the file is damaged.
    """
    with _Reader(path) as db:
        return db.execute(sql).fetchall()


def check_whole(path: Path) -> None:
    """Look at every page of a journal, before somebody goes on writing it.

    Raises:
        JournalError: it is damaged; the message says how much of it can still be read, and what is lost.
    """
    try:
        with _Reader(path) as db:
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except JournalError as error:
        raise JournalError(f"{error}; {_what_is_left(path)}") from error
    if found != "ok":
        detail = " ".join(str(found).split())
        raise JournalError(f"{path}: damaged: {detail}; {_what_is_left(path)}")


def _what_is_left(path: Path) -> str:
    """Say up to which record a damaged file can be read."""
    count, last_s = 0, None
    with contextlib.suppress(JournalError), _Reader(path) as db:
        for row in db.execute(f"SELECT {_COLUMNS} FROM record ORDER BY id"):  # noqa: S608 - a constant
            count, last_s = count + 1, _record(row).at.wall_s
    if last_s is None:
        return "none of its records can be read: the run is lost"
    try:
        until = datetime.fromtimestamp(last_s, UTC).isoformat(timespec="seconds")
    except (OverflowError, TypeError, ValueError):
        until = "a moment that cannot be read"
    return f"its first {count} records can be read, up to {until}: what was recorded after that is lost"


class _Reader:
    """A read-only connection whose errors are JournalErrors."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise JournalError(f"{path}: no journal there")

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._db = sqlite3.connect(f"{self._path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
            row = self._db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: not a soakd journal, or damaged: {error}") from error
        if row is None or json.loads(row[0]) != SCHEMA_VERSION:
            version = "none" if row is None else row[0]
            raise JournalError(f"{self._path}: journal version {version}, this soakd reads version {SCHEMA_VERSION}")
        return self._db

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._db.close()
        if isinstance(error, sqlite3.Error | ValueError):
            raise JournalError(f"{self._path}: damaged: {error}") from error


def _create(path: Path) -> sqlite3.Connection:
    with contextlib.suppress(OSError):  # SQLite says better what is wrong, and gives its other files the same mode
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o640))
        os.chmod(path, 0o640)
    db = _connect(path)
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        db.executescript(_SCHEMA)
        with db:
            db.execute("INSERT INTO meta VALUES ('schema_version', ?)", (json.dumps(SCHEMA_VERSION),))
    return db


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return db


def _check_version(path: Path, db: sqlite3.Connection) -> None:
    """Refuse to go on writing a journal that another version of soakd understands."""
    row = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if row is None or row[0] != json.dumps(SCHEMA_VERSION):
        db.close()
        version = "none" if row is None else row[0]
        raise JournalError(f"{path}: journal version {version}, this soakd writes version {SCHEMA_VERSION}")


def _record(row: tuple[Any, ...]) -> Record:
    kind, name, segment, *clocks, body = row
    if not isinstance(body, str):
        raise sqlite3.DatabaseError("a record without a body")
    return Record(kind=kind, engine=name, segment=segment, at=Stamp(*clocks), body=json.loads(body))


def _body(record: Record) -> str:
    return json.dumps(record.body, separators=(",", ":"), allow_nan=False)
