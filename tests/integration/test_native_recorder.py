"""The Rust latency recorder and the odds and ends of `soakd._native`."""

import copy
import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

native = pytest.importorskip("soakd._native")

TIMES = st.integers(0, 2**62)


def bucket(value: int) -> int:
    """The contract, as the readers of the histograms know it."""
    value = min(max(value, 0), 2**40 - 1)
    if value < 128:
        return value
    exponent = value.bit_length() - 1
    return (exponent - 6) * 128 + ((value >> (exponent - 7)) - 128)


def decoded(data: bytes) -> dict[int, int]:
    numbers, number, shift = [], 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    assert shift == 0
    index, counts = 0, {}
    for delta, count in zip(numbers[::2], numbers[1::2], strict=True):
        index += delta
        counts[index] = count
    return counts


def counted(values: list[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket(value)] = counts.get(bucket(value), 0) + 1
    return counts


@given(st.lists(st.tuples(TIMES, TIMES, TIMES), max_size=50))
def test_service_response_and_lateness_come_back_as_recorded(operations: list[tuple[int, int, int]]) -> None:
    recorder = native.LatencyRecorder()
    for operation in operations:
        recorder.record(*operation)
    assert recorder.count == len(operations)
    service, response, lateness = map(decoded, recorder.take())
    assert service == counted([end - start for _, start, end in operations])
    assert response == counted([end - intended for intended, _, end in operations])
    assert lateness == counted([start - intended for intended, start, _ in operations])


def test_what_was_taken_is_not_taken_again() -> None:
    recorder = native.LatencyRecorder()
    recorder.record(0, 1, 2)
    recorder.take()
    assert recorder.count == 0
    assert recorder.take() == (b"", b"", b"")


def test_a_time_beyond_64_bits_is_an_overflow_error_and_is_not_counted() -> None:
    recorder = native.LatencyRecorder()
    with pytest.raises(OverflowError):
        recorder.record(0, 0, 2**63)
    assert recorder.count == 0


def test_the_memory_of_a_recorder_is_fixed() -> None:
    recorder = native.LatencyRecorder()
    before = native.rust_bytes()
    for number in range(10_000):
        recorder.record(0, number, number**2)
    recorder.take()
    assert native.rust_bytes() == before


def test_undefined_stays_the_only_one() -> None:
    undefined = native.UNDEFINED
    assert pickle.loads(pickle.dumps(undefined)) is undefined
    assert copy.deepcopy([undefined])[0] is undefined
    assert not undefined
    assert repr(undefined) == "UNDEFINED"


def test_a_leaked_reference_keeps_its_object() -> None:
    kept = object()
    before = sys.getrefcount(kept)
    native.leak_reference(kept)
    assert sys.getrefcount(kept) == before + 1
