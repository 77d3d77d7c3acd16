import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from soakd.errors import JournalError
from soakd.journal import Journal, read_meta, read_records, read_spread
from soakd.records import Record, Stamp


def record(n: int, engine: str = "mine", kind: str = "sample") -> Record:
    return Record(kind=kind, engine=engine, segment=0, at=Stamp(1e9 + n, n, n), body={"n": n})  # type: ignore[arg-type]


def opened(path: Path, published: list[Record] | None = None) -> Journal:
    def publish(batch: Sequence[Record]) -> None:
        if published is not None:
            published.extend(batch)

    def fail(error: JournalError) -> None:
        raise AssertionError(error)

    return Journal(path, on_commit=publish, on_failure=fail)


def test_what_was_put_is_read_back_in_order(tmp_path: Path) -> None:
    published: list[Record] = []
    journal = opened(tmp_path / "run.db", published)
    records = [record(n) for n in range(1000)]
    for each in records:
        journal.put(each)
    journal.close()
    assert list(read_records(tmp_path / "run.db", "sample")) == records
    assert published == records


def test_records_are_found_by_kind_and_engine(tmp_path: Path) -> None:
    journal = opened(tmp_path / "run.db")
    for each in (record(1), record(2, "other"), record(3, "mine", "incident")):
        journal.put(each)
    journal.close()
    assert [r.body["n"] for r in read_records(tmp_path / "run.db", "sample", "incident", engine="mine")] == [1, 3]


def test_a_record_is_published_only_when_a_reader_can_see_it(tmp_path: Path) -> None:
    path, seen = tmp_path / "run.db", []
    journal = Journal(
        path,
        on_commit=lambda batch: seen.append(len(list(read_records(path, "sample"))) >= len(batch)),
        on_failure=print,
    )
    journal.put(record(1))
    journal.close()
    assert seen == [True]


def test_facts_about_the_run_are_kept(tmp_path: Path) -> None:
    journal = opened(tmp_path / "run.db")
    journal.set_meta({"run_id": "r", "plan": {"a": [1, 2]}})
    journal.close()
    assert read_meta(tmp_path / "run.db")["plan"] == {"a": [1, 2]}


def test_a_journal_of_another_version_is_refused_by_its_number(tmp_path: Path) -> None:
    opened(tmp_path / "run.db").close()
    with sqlite3.connect(tmp_path / "run.db") as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    db.close()
    with pytest.raises(JournalError, match="journal version 99, this soakd reads version 1"):
        read_meta(tmp_path / "run.db")


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be read as one" * 100])
def test_what_is_no_journal_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.db").write_bytes(content)
    with pytest.raises(JournalError, match="not a soakd journal"):
        read_meta(tmp_path / "run.db")


def test_a_journal_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal there"):
        read_meta(tmp_path / "absent.db")


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be written"):
        opened(tmp_path / "absent" / "run.db")


def test_nobody_else_reads_a_journal_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        journal = Journal(tmp_path / "run.db", on_commit=lambda _: None, on_failure=lambda _: None)
        journal.put(Record(kind="phase", engine="", segment=0, at=Stamp(1.0, 1.0, 1.0), body={"name": "origin"}))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        journal.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o640}, modes


@pytest.mark.parametrize(("count", "read"), [(0, 0), (1, 1), (39, 39), (40, 40), (5000, 40)])
def test_from_all_over_a_run_no_more_is_read_than_asked_for(tmp_path: Path, count: int, read: int) -> None:
    db = Journal(tmp_path / "run.db", on_commit=lambda batch: None, on_failure=lambda error: None)
    for number in range(count):
        db.put(Record(kind="sample", engine="a", segment=0, at=Stamp(0, 0, number), body={"number": number}))
        db.put(Record(kind="sample", engine="b", segment=0, at=Stamp(0, 0, number), body={}))
    db.close()
    found = [record.body["number"] for record in read_spread(tmp_path / "run.db", "sample", "a", places=10, each=4)]
    assert len(found) == read
    assert found == sorted(set(found))
    if count > read:
        assert found[0] < count / 10
        assert found[-1] > count * 8 / 10
