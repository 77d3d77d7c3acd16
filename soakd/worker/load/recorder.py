"""The latency recorders: two, so that operations disturbed by a forked child are kept apart.

A recorder's memory is fixed: 4,352 buckets for each of service, response and lateness, however many values it takes.
"""

from array import array
from typing import Protocol

from soakd.wire.histogram import BUCKETS, bucket_of, encode_sparse

Encoded = tuple[bytes, bytes, bytes]
"""Sparse histograms (`soakd.wire.histogram.encode_sparse`) of service time, response time and lateness."""


class Recorder(Protocol):
    """Takes the three times of each operation; returns three histograms of nanoseconds."""

    def record(self, intended_ns: int, start_ns: int, end_ns: int, /) -> None:
        """Count one operation: when it was due, when it started and when it ended, on one clock, in nanoseconds."""

    def take(self) -> Encoded:
        """Return what was recorded since the last call, and reset."""


class PythonRecorder:
    """The native recorder in Python, for interpreters that cannot load `soakd._native`: same bytes, 12 times slower."""

    def __init__(self) -> None:
        self._service = array("Q", bytes(8 * BUCKETS))
        self._response = array("Q", bytes(8 * BUCKETS))
        self._lateness = array("Q", bytes(8 * BUCKETS))

    def record(self, intended_ns: int, start_ns: int, end_ns: int, /) -> None:
        """Count one operation; see `Recorder.record`."""
        self._service[bucket_of(end_ns - start_ns)] += 1
        self._response[bucket_of(end_ns - intended_ns)] += 1
        self._lateness[bucket_of(start_ns - intended_ns)] += 1

    def take(self) -> Encoded:
        """Return what was recorded, and reset; see `Recorder.take`."""
        return _taken(self._service), _taken(self._response), _taken(self._lateness)


def new_recorder() -> Recorder:
    """Return a native recorder, or the Python one if the interpreter cannot load `soakd._native`."""
    try:
        from soakd._native import LatencyRecorder
    except ImportError:
        return PythonRecorder()
    recorder: Recorder = LatencyRecorder()
    return recorder


class Lanes:
    """Two recorders; a driver records in the `active` one, which it looks up once per wake-up.

    The `window` lane is active while a forked child shares the process's memory: copying pages on write slows
    operations down, and the engine is not charged for it.
    """

    def __init__(self, clean: Recorder, window: Recorder) -> None:
        self.active = clean
        self._clean = clean
        self._window = window

    def open_window(self) -> None:
        """Switch to the window's lane."""
        self.active = self._window

    def close_window(self) -> None:
        """Switch to the clean lane."""
        self.active = self._clean

    def take(self) -> list[tuple[str, Encoded]]:
        """Return what each lane, "clean" and "window", recorded since the last call; an empty lane is left out."""
        taken = [("clean", self._clean.take()), ("window", self._window.take())]
        return [(name, encoded) for name, encoded in taken if encoded[0]]


def _taken(counts: "array[int]") -> bytes:
    encoded = encode_sparse((bucket, count) for bucket, count in enumerate(counts) if count)
    for bucket, count in enumerate(counts):
        if count:
            counts[bucket] = 0
    return encoded
