"""The recorder in Python and the native one are the same to whoever reads them."""

import random
import sys

import pytest

from soakd.wire.histogram import BUCKETS
from soakd.worker.load.recorder import Lanes, PythonRecorder, new_recorder


def test_both_recorders_write_the_same_bytes() -> None:
    native = pytest.importorskip("soakd._native").LatencyRecorder()
    python = PythonRecorder()
    draw = random.Random(1).randrange
    instants = [(0, 0, 0), (5, 3, 2), (0, 0, 2**60)] + [
        (intended := draw(10**9), start := intended + draw(10**7), start + draw(10 ** draw(1, 13))) for _ in range(5000)
    ]
    for instant in instants:
        native.record(*instant)
        python.record(*instant)
    assert native.take() == python.take()
    assert native.take() == python.take() == (b"", b"", b"")


def test_without_the_extension_a_recorder_in_python_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soakd._native", None)
    assert isinstance(new_recorder(), PythonRecorder)


def test_a_recorder_in_python_has_a_fixed_size() -> None:
    recorder = PythonRecorder()
    for value in range(0, 2**41, 2**41 // 999):
        recorder.record(0, value, 2 * value)
    assert [len(counts) for counts in (recorder._service, recorder._response, recorder._lateness)] == [BUCKETS] * 3


def test_lanes_are_taken_apart() -> None:
    lanes = Lanes(PythonRecorder(), PythonRecorder())
    lanes.active.record(0, 0, 1)
    lanes.open_window()
    lanes.active.record(0, 0, 2)
    lanes.close_window()
    lanes.active.record(0, 0, 3)
    assert [name for name, _ in lanes.take()] == ["clean", "window"]
    assert lanes.take() == []
