"""The file format of a journal: tables, versions, and how it is opened."""

import errno
import json
import os
import sqlite3
from pathlib import Path

from soakd.errors import JournalError
from soakd.plaintext import escaped
from soakd.record.journal.headings import Headings
from soakd.record.own_files import open_own

SCHEMA_VERSION = 2
"""Version 1 had no headings: every sample had all its names."""
READ_VERSIONS = (1, 2)
CACHE_KIB = 256
"""SQLite's page cache, small because it only appends. The default of 2 MB fills in minutes, as soakd's own growth."""
PAGE_BYTES = 8192
"""A minute's latencies fill a third of a page. With SQLite's default of 4096 bytes the file is 6 % larger."""
CHECKPOINT_PAGES = 500
"""Size of the write-ahead log: 4 MB, like SQLite's default with its default pages."""

_SCHEMA = """
CREATE TABLE heading (number INTEGER PRIMARY KEY, said TEXT NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    engine TEXT NOT NULL,
    segment INTEGER NOT NULL,
    wall_s REAL NOT NULL,
    boot_s REAL NOT NULL,
    mono_s REAL NOT NULL,
    heading INTEGER REFERENCES heading (number),
    body TEXT NOT NULL
);
CREATE INDEX record_by_engine ON record (engine, kind);
CREATE VIEW readable AS
SELECT
    id, kind, engine, segment, wall_s, boot_s, mono_s,
    CASE WHEN said IS NULL THEN body ELSE json_patch(json_extract(said, '$.constants'), (
        SELECT json_group_object(value, json_extract(body, '$[' || key || ']')) FROM json_each(said, '$.names')
    )) END AS body
FROM record LEFT JOIN heading ON number = heading;
"""
TABLES = {"heading", "meta", "record"}
TOLD = {
    1: "SELECT *, NULL AS said FROM record",
    2: "SELECT record.*, said FROM record LEFT JOIN heading ON number = heading",
}
"""Version -> the records with their headings, as used by every query."""
STAMPED = "kind, engine, segment, wall_s, boot_s, mono_s"


def create(path: Path) -> sqlite3.Connection:
    """Open a journal for writing; create it if there is none.

    Raises:
        JournalError: it is a link, or not a regular file.
    """
    try:
        fd = open_own(path)
        os.fchmod(fd, 0o640)
        os.close(fd)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EINVAL):
            raise JournalError(f"{path}: cannot be written: {error.strerror}") from error
        # SQLite describes other errors better; it gives its other files the same mode
    db = connect(path)
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        db.executescript(_SCHEMA)
        with db:
            db.execute("INSERT INTO meta VALUES ('schema_version', ?)", (json.dumps(SCHEMA_VERSION),))
    return db


def connect(path: Path) -> sqlite3.Connection:
    """Open a file for writing, with soakd's settings."""
    db = sqlite3.connect(path, timeout=30, check_same_thread=False)
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # for a new file
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    return db


def headings_of(path: Path, db: sqlite3.Connection) -> Headings | None:
    """Return a journal's headings; None for version 1, which continues without them.

    Raises:
        JournalError: its version is unknown.
    """
    try:
        if version_of(path, db, "writes") == 1:
            return None
    except JournalError:
        db.close()
        raise
    return Headings(db.execute("SELECT number, said FROM heading"))


def version_of(path: Path, db: sqlite3.Connection, does: str) -> int:
    """Return a journal's version.

    Raises:
        JournalError: it is unknown.
    """
    row = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    version = None if row is None else json.loads(row[0])
    if version not in READ_VERSIONS:
        known = " and ".join(map(str, READ_VERSIONS))
        raise JournalError(
            f"{path}: journal version {escaped(str(version or 'none'))}, this soakd {does} versions {known}"
        )
    return int(version)
