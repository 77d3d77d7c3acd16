import base64
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soakd.wire import histogram

values = st.integers(0, histogram.MAX_NS)


@given(values)
def test_a_value_lies_in_its_bucket_and_is_known_to_one_percent(value: int) -> None:
    bucket = histogram.bucket_of(value)
    upper = histogram.upper_bound_ns(bucket)
    assert 0 <= bucket < histogram.BUCKETS
    assert value <= upper <= value * 1.01 + 1


def test_values_outside_the_layout_count_at_its_ends() -> None:
    assert histogram.bucket_of(-5) == 0
    assert histogram.bucket_of(1 << 60) == histogram.BUCKETS - 1


@given(st.dictionaries(st.integers(0, histogram.BUCKETS - 1), st.integers(1, 1 << 40), max_size=50))
def test_what_was_packed_is_what_is_unpacked(counts: dict[int, int]) -> None:
    sparse = histogram.encode_sparse(sorted(counts.items()))
    assert histogram.unpack(histogram.pack(sparse)) == counts


@given(st.dictionaries(st.integers(0, histogram.BUCKETS - 1), st.integers(1, 1 << 40), max_size=50))
def test_what_an_older_soakd_packed_is_still_read(counts: dict[int, int]) -> None:
    assert histogram.unpack(as_before(histogram.encode_sparse(sorted(counts.items())))) == counts


@pytest.mark.parametrize("octave_bits", [6, 4, 3])
@given(counts=st.dictionaries(st.integers(0, histogram.BUCKETS - 1), st.integers(1, 1 << 40), min_size=1, max_size=50))
def test_what_is_put_together_is_counted_as_often_and_never_as_less_than_it_was(
    octave_bits: int, counts: dict[int, int]
) -> None:
    kept = histogram.unpack(histogram.pack(histogram.encode_sparse(sorted(counts.items())), octave_bits))
    assert sum(kept.values()) == sum(counts.values())
    for q in (0.01, 0.5, 0.95, 1.0):
        before, after = histogram.quantile_s(counts, q), histogram.quantile_s(kept, q)
        assert before is not None
        assert after is not None
        assert before <= after <= before * (1 + 2.0**-octave_bits) + 1e-9 * 2 ** (7 - octave_bits)


def as_before(sparse: bytes) -> str:
    """Pack as soakd did when a histogram had each count beside its step."""
    return base64.b64encode(zlib.compress(sparse, 6)).decode("ascii")


def in_columns(data: bytes) -> str:
    return f"~{as_before(data)}"


@pytest.mark.parametrize("packed", [as_before, in_columns])
@pytest.mark.parametrize("data", [b"\x80", b"\x01", b"\xff\xff\x7f\x01"])
def test_a_histogram_that_is_cut_or_leaves_the_layout_is_an_error(packed: Callable[[bytes], str], data: bytes) -> None:
    with pytest.raises(ValueError, match="histogram"):
        histogram.unpack(packed(data))


@pytest.mark.parametrize("text", ["", "~", "!!!", "AAAA", "~AAAA"])
def test_a_damaged_histogram_is_an_error_not_a_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"histogram|base64|padding"):
        histogram.unpack(text)


def test_quantiles_are_in_seconds_and_absent_for_nothing() -> None:
    counts = {histogram.bucket_of(ns): 1 for ns in range(1_000, 101_000, 1_000)}
    assert histogram.quantile_s(counts, 0.95) == pytest.approx(95e-6, rel=0.02)
    assert histogram.quantile_s({}, 0.95) is None
