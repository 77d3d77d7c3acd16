"""What an engine says is cut where it enters: in the worker before it is sent, and in the daemon as it is decoded."""

import json
from typing import Any

import pytest

from soakd.daemon.log import safe
from soakd.wire import bounds
from soakd.wire.bounds import bounded
from soakd.wire.records import Kind, Stamp, decode, encode, make_record

AT = Stamp(1.0, 2.0, 3.0)
KINDS: tuple[Kind, ...] = ("hello", "phase", "sample", "snapshot", "attribution", "incident", "bye", "fault")


def received(kind: Kind, body: dict[str, Any]) -> Any:
    """Return a record's body as the daemon has it."""
    return decode(encode(make_record(kind, engine="cache", segment=0, at=AT, body=body))).body


def characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key) + characters(entry) for key, entry in value.items())
    return sum(characters(entry) for entry in value) if isinstance(value, list) else 0


@pytest.mark.parametrize("kind", ["sample", "latency", "incident"])
@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 400])
def test_a_number_that_no_reading_is_does_not_get_in(kind: Kind, number: str) -> None:
    line = encode(make_record(kind, engine="cache", segment=0, at=AT, body={"a": 5, "b": "x"}))
    assert decode(line.replace(b'"a":5', b'"a":' + number.encode())).body == {"a": None, "b": "x"}


@pytest.mark.parametrize("kind", KINDS)
def test_no_record_of_any_kind_has_more_text_than_it_may(kind: Kind) -> None:
    site = {"site": "c" * 9000, "frames": ["d" * 9000] * 20}
    body = {"what": "a" * 60_000, "detail": "b" * 60_000, "n" * 5000: 1.0, "sites": [site, site]}
    found = received(kind, body)
    assert characters(found) <= bounds.MOST_CHARACTERS
    assert len(found["what"]) == bounds.LONGEST_TEXT
    assert found["what"].endswith(bounds.CUT)
    assert max(len(name) for name in found) == bounds.LONGEST_NAME


def test_a_sample_has_so_many_counters_and_no_more() -> None:
    found = received("sample", {f"counter.{n}": n for n in range(10_000)})
    assert len(found) == bounds.MOST_ENTRIES
    assert found["counter.0"] == 0


def test_lists_and_depths_are_bounded() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = [deep]
    found = received("snapshot", {"types": [{"type": "t"}] * 5000, "deep": deep})
    assert len(found["types"]) == bounds.MOST_ENTRIES
    assert len(json.dumps(found["deep"])) <= 2 * bounds.MOST_DEPTH


def test_a_whole_number_that_no_reading_has_is_unknown() -> None:
    assert received("sample", {"rss_bytes": 10**400, "fds": 2**64 - 1, "up": True}) == {
        "rss_bytes": None, "fds": 2**64 - 1, "up": True,
    }  # fmt: skip


def test_packed_latencies_are_kept_whole() -> None:
    body = {"phase": "load", "window": False, "from_mono_s": 1.0, "service": "z:" + "A" * 20_000}
    assert received("latency", body) == body


def test_a_line_that_is_longer_than_any_record_is_none() -> None:
    with pytest.raises(ValueError, match="bytes in one line"):
        decode(b'{"v": 1, "x": "' + b"a" * bounds.LONGEST_LINE_BYTES + b'"}')


def test_what_fits_the_bounds_fits_a_line_however_it_is_escaped() -> None:
    body = bounded({f"{n}": "\x01" * 100_000 for n in range(100)})
    assert (
        len(encode(make_record("incident", engine="e" * 64, segment=0, at=AT, body=body))) < bounds.LONGEST_LINE_BYTES
    )


def test_what_fits_is_as_it_was() -> None:
    body = {"a": [1, 2.5, None, True, {"b": "c"}], "d": "e" * bounds.LONGEST_TEXT, "f": ()}
    assert bounded(body) == {**body, "f": []}


def test_a_finding_of_ten_megabytes_is_logged_without_reading_it_all() -> None:
    """An e-mail address of 10 MB held the event loop for days: the mask took the square of its length."""
    told = safe(None, "", {"event": "incident", "detail": "a-" * 5_000_000})
    assert len(told["detail"]) == 2000
