"""The layout of a latency histogram, shared by the recorder that fills it and the judge that reads it.

Log-linear, 128 buckets per octave: the error of a value is below 1 %, unless it is packed more coarsely. Values are
nanoseconds below 2**40 (18 minutes), which makes 4,352 buckets. The native recorder in `rust/soakd-py` uses the same
layout; a test compares them.
"""

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping

OCTAVE_BITS = 7
OCTAVE = 1 << OCTAVE_BITS
MAX_NS = (1 << 40) - 1
BUCKETS = (40 - OCTAVE_BITS + 1) * OCTAVE

COLUMNS = "~"
"""The prefix of a packed histogram with all steps first, then all counts: a tenth smaller than pairs."""

MOST_BYTES = BUCKETS * (2 + 10)
"""The largest unpacked histogram: a step and a count of 64 bits for every bucket."""

Histogram = Mapping[int, int]
"""Bucket index -> count; buckets without a value are absent."""


def bucket_of(value_ns: int) -> int:
    """Return the bucket of a value; values outside [0, MAX_NS] count in the first or last bucket."""
    value_ns = min(max(value_ns, 0), MAX_NS)
    if value_ns < OCTAVE:
        return value_ns
    exponent = value_ns.bit_length() - 1
    return (exponent - OCTAVE_BITS + 1) * OCTAVE + (value_ns >> (exponent - OCTAVE_BITS)) - OCTAVE


def upper_bound_ns(bucket: int) -> int:
    """Return the largest value that falls in `bucket`, in nanoseconds."""
    if bucket < OCTAVE:
        return bucket
    shift = bucket // OCTAVE - 1
    return ((OCTAVE + bucket % OCTAVE + 1) << shift) - 1


def encode_sparse(counts: Iterable[tuple[int, int]]) -> bytes:
    """Encode (bucket, count) pairs in ascending order as LEB128 pairs (step from the last bucket, count)."""
    return b"".join(step + number for step, number in _steps(counts))


def decode_sparse(data: bytes) -> dict[int, int]:
    """Decode the output of `encode_sparse` or the native recorder.

    Raises:
        ValueError: the bytes end in the middle of a pair, or exceed the layout.
    """
    numbers = _varints(data)
    return _counts(numbers[::2], numbers[1::2])


def pack(sparse: bytes, octave_bits: int = OCTAVE_BITS) -> str:
    """Compress a sparse histogram to text for a JSON record.

    Args:
        sparse: the output of `encode_sparse` or the native recorder.
        octave_bits: 2**octave_bits buckets per octave are kept apart; merged buckets count as the highest of them, so
            that quantiles remain upper bounds.

    Raises:
        ValueError: it is not a sparse histogram.
    """
    rest = (1 << OCTAVE_BITS - octave_bits) - 1
    counts: dict[int, int] = {}
    for bucket, count in decode_sparse(sparse).items():
        counts[bucket | rest] = counts.get(bucket | rest, 0) + count
    pairs = list(_steps(counts.items()))
    columns = b"".join(step for step, _ in pairs) + b"".join(number for _, number in pairs)
    return COLUMNS + base64.b64encode(zlib.compress(columns, 9)).decode("ascii")


def unpack(text: str) -> dict[int, int]:
    """Decode the output of `pack`, also of an older version, which had each count next to its step.

    Raises:
        ValueError: not a packed histogram.
    """
    data, in_columns = unzip(text)
    numbers = _varints(data)
    half = len(numbers) // 2
    return _counts(numbers[:half], numbers[half:]) if in_columns else _counts(numbers[::2], numbers[1::2])


def unzip(text: str) -> tuple[bytes, bool]:
    """Return the numbers of a packed histogram, still encoded, and whether the steps come first.

    Raises:
        ValueError: not a packed histogram.
    """
    columns = text.removeprefix(COLUMNS)
    unzipping = zlib.decompressobj()
    try:
        data = unzipping.decompress(base64.b64decode(columns, validate=True), MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"not a packed histogram: {error}") from error
    if not unzipping.eof or unzipping.unused_data:
        raise ValueError("not a packed histogram: cut short, or larger than one can be")
    return data, columns != text


def quantile_s(histogram: Histogram, q: float) -> float | None:
    """Return the q-quantile in seconds (the upper bound of its bucket), or None for an empty histogram."""
    total = sum(histogram.values())
    if not total:
        return None
    wanted, seen = q * total, 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= wanted:
            return upper_bound_ns(bucket) * 1e-9
    raise AssertionError("counts add up to the total")


def _steps(counts: Iterable[tuple[int, int]]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the step from the previous bucket, and the count, of pairs in ascending order."""
    last = 0
    for bucket, count in counts:
        yield _varint(bucket - last), _varint(count)
        last = bucket


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varints(data: bytes) -> list[int]:
    numbers, number, shift = [], 0, 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number, shift = 0, 0
    if shift or len(numbers) % 2:
        raise ValueError("histogram cut short")
    return numbers


def _counts(steps: Iterable[int], numbers: Iterable[int]) -> dict[int, int]:
    counts, bucket = {}, 0
    for step, count in zip(steps, numbers, strict=True):
        bucket += step
        if bucket >= BUCKETS:
            raise ValueError(f"histogram bucket {bucket} outside the layout")
        counts[bucket] = count
    return counts
