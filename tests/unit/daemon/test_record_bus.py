"""The way of a record: the journal first, those that act at once, and after the commit those that show it."""

import pytest

from soakd.daemon.record_bus import RecordBus
from soakd.wire.records import Record, make_record
from tests.recorded import stamp


def record(engine: str = "mine", segment: int = 3) -> Record:
    return make_record("incident", engine=engine, segment=segment, at=stamp(1.0), body={"what": "crash"})


def test_listeners_before_the_commit_have_each_record_in_their_order_and_those_after_it_whole_batches() -> None:
    bus, heard = RecordBus(), list[str]()
    bus.before_commit += [lambda _: heard.append("journal"), lambda _: heard.append("faults")]
    bus.after_commit.append(lambda batch: heard.append(f"page {len(batch)}"))
    bus.put(record())
    bus.put(record())
    assert heard == ["journal", "faults"] * 2
    bus.committed([record(), record()])
    assert heard[-1] == "page 2"


def test_a_listener_that_fails_keeps_no_record_from_the_journal() -> None:
    bus, kept = RecordBus(), list[Record]()

    def fail(_: Record) -> None:
        raise ValueError

    bus.before_commit += [kept.append, fail]
    with pytest.raises(ValueError):  # noqa: PT011 - raised above
        bus.put(record())
    assert len(kept) == 1


def test_records_of_the_run_bear_the_life_of_the_daemon_and_those_of_engines_their_own() -> None:
    bus, kept = RecordBus(life=2), list[Record]()
    bus.before_commit.append(kept.append)
    bus.put(record(engine="", segment=0))
    bus.put(record())
    assert [each.segment for each in kept] == [2, 3]
