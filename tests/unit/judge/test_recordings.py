"""The growth verdict on recordings of real processes (tests/recordings/README.md)."""

from pathlib import Path

import pytest

from soakd.judge.csvfile import TableColumns, judge_file

RECORDINGS = sorted((Path(__file__).parents[2] / "recordings").glob("*.csv"))
LIMIT = 120e6
OPEN = {"node-ok", "node-leak3x", "py-fill-ok"}
"""Left open: collections larger than the limit, and a cache that is nearly full only at the end."""


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recorded_leak_fails_and_a_healthy_process_passes(path: Path) -> None:
    verdict = judge_file(path, TableColumns(), LIMIT)[0]["verdict"]
    right = "PASS" if path.stem.endswith("-ok") else "FAIL"
    assert verdict in ((right, "INCONCLUSIVE") if path.stem in OPEN else (right,))


def test_there_are_healthy_and_leaking_recordings() -> None:
    assert {path.stem.endswith("-ok") for path in RECORDINGS} == {True, False}
