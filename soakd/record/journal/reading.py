"""The reading side of a journal: always read-only, with one short transaction per query."""

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from soakd.errors import JournalError
from soakd.plaintext import escaped
from soakd.record.journal.headings import joined
from soakd.record.journal.schema import STAMPED, TABLES, TOLD, version_of
from soakd.wire.records import Record, Stamp, make_record

_LAST = 2**63 - 1
_AT_ONCE = 10_000
_COLUMNS = f"{STAMPED}, body, said"


def read_meta(path: Path) -> dict[str, Any]:
    """Read the facts about a run.

    Raises:
        JournalError: there is no journal, or it is unreadable or of another version.
    """
    with _Reader(path) as db:
        return {key: json.loads(value) for key, value in db.execute("SELECT key, value FROM meta")}


def has_begun(path: Path) -> bool:
    """Return whether a journal has a plan or a record, as far as it can be read; False if there is no journal."""
    if not path.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as db:
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if tables - TABLES:
                return True
            plans = "SELECT 1 FROM meta WHERE key = 'plan'" if "meta" in tables else "SELECT 1 LIMIT 0"
            records = "SELECT 1 FROM record LIMIT 1" if "record" in tables else "SELECT 1 LIMIT 0"
            return any(db.execute(question).fetchone() is not None for question in (plans, records))
    except sqlite3.Error:
        return True  # damaged is not empty


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
        select = f"SELECT {_COLUMNS} FROM told WHERE {where} ORDER BY id"  # noqa: S608 - marks and columns, no values
        for row in db.execute(select, values):
            yield _record(row)


def read_spread(path: Path, kind: str, engine: str, *, places: int, each: int) -> Iterator[Record]:
    """Read records of one kind spread over a run, in the order of their commit: at most `places * each`.

    A run with fewer is read in full. In a longer one, `each` consecutive records are read at `places` evenly spaced
    places, so the cost does not grow with the run.

    Raises:
        JournalError: as for `read_records`.
    """
    with _Reader(path) as db:
        ends = "SELECT MIN(id), MAX(id) FROM record WHERE engine = ? AND kind = ?"
        low, high = db.execute(ends, (engine, kind)).fetchone()
        if low is None:
            return
        select = f"SELECT id, {_COLUMNS} FROM told WHERE engine = ? AND kind = ? AND id >= ? ORDER BY id LIMIT ?"  # noqa: S608
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
        engine: the engine; "" for the run's own records.
        count: the most records.
        before: only records with smaller numbers.
        without: leave out records with this text in their body; "" for none.

    Raises:
        JournalError: as for `read_records`.
    """
    select = f"""SELECT id, {_COLUMNS} FROM told WHERE engine = ? AND kind = ? AND id < ? AND (? = '' OR
        instr(COALESCE(said, body), ?) = 0) ORDER BY id DESC LIMIT ?"""  # noqa: S608 - columns, no values
    with _Reader(path) as db:
        rows = db.execute(select, (engine, kind, before or _LAST, without, without, count)).fetchall()
    return [(number, _record(tuple(row))) for number, *row in reversed(rows)]


def read_latest_number(path: Path) -> int:
    """Return the number of the last record; 0 if there is none.

    Raises:
        JournalError: as for `read_records`.
    """
    with _Reader(path) as db:
        return int(db.execute("SELECT COALESCE(MAX(id), 0) FROM record").fetchone()[0])


def read_since(path: Path, number: int) -> list[tuple[int, Record]]:
    """Read the records after one, with their numbers, in the order of their commit: 10,000 at most.

    Raises:
        JournalError: as for `read_records`.
    """
    with _Reader(path) as db:
        select = f"SELECT id, {_COLUMNS} FROM told WHERE id > ? ORDER BY id LIMIT ?"  # noqa: S608 - columns
        rows = db.execute(select, (number, _AT_ONCE)).fetchall()
    return [(found, _record(tuple(row))) for found, *row in rows]


def read_by_id(path: Path, ids: Iterable[int]) -> Iterator[Record]:
    """Read the records with these numbers in the order of their commit; unknown numbers are skipped.

    Raises:
        JournalError: as for `read_records`.
    """
    with _Reader(path) as db:
        for number in sorted(set(ids)):
            row = db.execute(f"SELECT {_COLUMNS} FROM told WHERE id = ?", (number,)).fetchone()  # noqa: S608
            if row is not None:
                yield _record(row)


def query(
    path: Path, sql: str, values: Sequence[object] | Mapping[str, object] = ()
) -> list[tuple[Any, ...]]:  # fmt: skip
    """Run a SQL query with values for its placeholders, and read the whole answer.

    `told` is `record` with one more column, `said`: the heading of a sample, NULL if it has none.

    Raises:
        JournalError: as for `read_meta`, or the file is damaged.
    """
    with _Reader(path) as db:
        return db.execute(sql, values).fetchall()


def check_whole(path: Path) -> None:
    """Check every page of a journal before it is written again.

    Raises:
        JournalError: it is damaged; the message says how much can still be read, and what is lost.
    """
    try:
        with _Reader(path) as db:
            found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    except JournalError as error:
        raise JournalError(f"{escaped(str(error))}; {_what_is_left(path)}") from error
    if found != "ok":
        detail = " ".join(str(found).split())
        raise JournalError(f"{path}: damaged: {detail}; {_what_is_left(path)}")


def _what_is_left(path: Path) -> str:
    """Describe up to which record a damaged file can be read."""
    count, last_s = 0, None
    with contextlib.suppress(JournalError), _Reader(path) as db:
        for row in db.execute(f"SELECT {_COLUMNS} FROM told ORDER BY id"):  # noqa: S608 - a constant
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
            version = version_of(self._path, self._db, "reads")
            self._db.execute("PRAGMA temp_store = MEMORY")
            self._db.execute(f"CREATE TEMP VIEW told AS {TOLD[version]}")
        except (sqlite3.Error, ValueError) as error:
            raise JournalError(f"{self._path}: not a soakd journal, or damaged: {escaped(str(error))}") from error
        return self._db

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._db.close()
        if isinstance(error, sqlite3.Error | ValueError | RecursionError):
            raise JournalError(f"{self._path}: damaged: {escaped(str(error))}") from error


def _record(row: tuple[Any, ...]) -> Record:
    kind, name, segment, *clocks, body, heading = row
    if not isinstance(body, str):
        raise sqlite3.DatabaseError("a record without a body")
    said = joined(heading, json.loads(body))
    return make_record(kind, engine=name, segment=segment, at=Stamp(*clocks), body=said)
