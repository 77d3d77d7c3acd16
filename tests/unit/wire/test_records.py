import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soakd.wire.records import Stamp, decode, encode, make_record

RECORD = make_record(
    "sample", engine="cache", segment=2, at=Stamp(1.5, 2.5, 3.5), body={"rss_bytes": 4096, "phase": None}
)


def test_a_record_survives_its_line() -> None:
    assert decode(encode(RECORD)) == RECORD
    assert encode(RECORD).endswith(b"\n")
    assert encode(RECORD).count(b"\n") == 1


def test_a_number_that_json_does_not_have_is_refused_when_written_and_when_read() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode(make_record("sample", engine="", segment=0, at=RECORD.at, body={"x": float("nan")}))
    with pytest.raises(ValueError, match="NaN"):
        decode(encode(RECORD).replace(b"4096", b"NaN"))


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"kind": "gossip"},
        {"engine": 5},
        {"segment": True},
        {"segment": "1"},
        {"at": [1, 2]},
        {"at": [1, 2, "x"]},
        {"body": []},
    ],
)
def test_a_line_that_is_not_a_record_is_refused(change: dict[str, object]) -> None:
    line = json.dumps(json.loads(encode(RECORD)) | change)
    with pytest.raises(ValueError, match="record"):
        decode(line)


def test_a_lone_surrogate_becomes_text_that_every_file_can_carry() -> None:
    body = {"bad \udcff": ["\ud800", {"x": "good \U0001f600"}]}
    record = decode(encode(make_record("incident", engine="", segment=0, at=RECORD.at, body=body)))
    assert record.body == {"bad \\udcff": ["\\ud800", {"x": "good \U0001f600"}]}


def test_a_line_nested_too_deeply_is_no_record() -> None:
    with pytest.raises(ValueError, match="nested"):
        decode(b"[" * 100_000)


@given(st.binary(max_size=200))
def test_garbage_is_a_value_error_and_nothing_else(line: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each kind of garbage has words of its own
        decode(line)
