"""The judge's reader of histograms says what the plain one says, and refuses what that refuses."""

import base64
import zlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soakd.judge.story.latency import merge, read_latencies
from soakd.wire import histogram

counted = st.dictionaries(st.integers(0, histogram.BUCKETS - 1), st.integers(1, 1 << 30), max_size=50)


def packed(counts: dict[int, int]) -> str:
    return histogram.pack(histogram.encode_sparse(sorted(counts.items())))


@given(counted, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_both_readers_say_the_same(counts: dict[int, int], q: float) -> None:
    read = read_latencies(packed(counts))
    assert dict(zip(read.buckets.tolist(), read.counts.tolist(), strict=True)) == counts
    assert read.operations == sum(counts.values())
    assert read.quantile_s(q) == histogram.quantile_s(counts, q)


@given(st.lists(counted, max_size=5))
def test_both_add_up_to_the_same(several: list[dict[int, int]]) -> None:
    total = merge(read_latencies(packed(counts)) for counts in several)
    expected: Counter[int] = Counter()
    for counts in several:
        expected.update(counts)
    assert dict(zip(total.buckets.tolist(), total.counts.tolist(), strict=True)) == expected


@given(counted)
def test_what_an_older_soakd_packed_is_still_read(counts: dict[int, int]) -> None:
    older = base64.b64encode(zlib.compress(histogram.encode_sparse(sorted(counts.items())))).decode("ascii")
    read = read_latencies(older)
    assert dict(zip(read.buckets.tolist(), read.counts.tolist(), strict=True)) == counts


@pytest.mark.parametrize(
    "data",
    [
        b"\x01",
        b"\x01\x02\x80",
        b"\x80",
        b"\x01\x02\x03",
        b"\xff\x7f\x01",
        b"\x01" + b"\xff" * 9 + b"\x01",
        b"\x05\x00\x01\x01",
        b"\x00\xff\xff\xff\xff\xff\xff\x7f",
    ],
)
def test_what_is_cut_short_or_leaves_the_layout_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="histogram"):
        read_latencies(histogram.COLUMNS + base64.b64encode(zlib.compress(data)).decode("ascii"))


def test_what_would_unpack_to_more_than_a_histogram_is_refused_unread() -> None:
    bomb = histogram.COLUMNS + base64.b64encode(zlib.compress(bytes(50_000_000), 9)).decode("ascii")
    for read in (read_latencies, histogram.unpack):
        with pytest.raises(ValueError, match="larger than one can be"):
            read(bomb)


@pytest.mark.parametrize("text", ["no base64!", "~AAAA", "é"])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"histogram|base64|ASCII"):
        read_latencies(text)
