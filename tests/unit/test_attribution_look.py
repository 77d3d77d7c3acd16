"""The course of a look: windows as long as what is full takes to turn over, within the time that there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from soakd.attribution.look import Look
from soakd.attribution.tools import NoTool

W = 100
SITE = {"site": "a.py:1 in f", "fingerprint": "f", "bytes_per_operation": 9.0, "confidence": "medium"}


@dataclass
class Answer:
    values: dict[str, Any] | None
    failure: str | None = None


class Child:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def poll(self) -> Answer:
        return self._answer

    def kill(self) -> None:
        return None


def course(folder: Path, turnover: int, *, seconds: float = 1000.0, last: Answer | None = None) -> Mapping[str, Any]:
    """Let one operation a second go by, and the children answer at once; returns the last body."""
    reading = {"census": "", "sums": {}, "made": {}, "types": {}}
    sites = [dict(SITE), {**SITE, "held_by": ["list `kept`"]}]
    answers = [
        Answer({**reading, "turnover": 0}), Answer({**reading, "turnover": turnover}),
        last or Answer({"sites": sites, "types": []}),
    ]  # fmt: skip
    bodies: list[Mapping[str, Any]] = []
    order = {"id": 1, "route": "python", "operations": W, "seconds": seconds, "folder": str(folder), "light": True}
    look = Look(
        order, "engine", fork=lambda *_: Child(answers.pop(0)), live_bytes=lambda: 0, send=bodies.append
    )  # fmt: skip
    for second in range(10_000):
        look.step(float(second), float(second))
        if look.done:
            break
    assert list(folder.iterdir()) == []
    return bodies[-1]


@pytest.mark.parametrize(("turnover", "second_window"), [(0, 3 * W), (W, 3 * W), (250, 500)])
def test_the_second_window_is_three_times_the_first_or_two_turnovers(
    tmp_path: Path, turnover: int, second_window: int
) -> None:
    body = course(tmp_path, turnover)
    assert body["state"] == "done"
    assert body["operations"] == [pytest.approx(W, abs=3), pytest.approx(second_window, rel=0.02)]
    assert [site["confidence"] for site in body["sites"]] == ["medium", "medium"]


def test_a_turnover_that_is_longer_than_the_time_leaves_doubt_about_what_nobody_is_known_to_keep(
    tmp_path: Path,
) -> None:
    body = course(tmp_path, 5000)
    assert body["operations"][1] < 800
    assert [site["confidence"] for site in body["sites"]] == ["low", "medium"]


def test_a_child_that_fails_ends_the_look_and_says_why(tmp_path: Path) -> None:
    body = course(tmp_path, 0, last=Answer(None, "killed after 90 s"))
    assert (body["state"], body["why"]) == ("failed", "the forked child failed: killed after 90 s")


def test_an_engine_that_is_too_slow_for_a_window_is_said(tmp_path: Path) -> None:
    body = course(tmp_path, 0, seconds=10.0)
    assert body["state"] == "failed"
    assert "operations in a window, 5 are needed" in body["why"]


def test_a_tool_is_imported_before_anything_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it imports makes six new classes, which would look like a container that turns over once in 40,000."""
    events: list[str] = []

    class Imported(NoTool):
        def load(self) -> None:
            events.append("load")

    def fork(*_: object) -> Child:
        events.append("fork")
        return Child(Answer(None, "no more is needed"))

    monkeypatch.setattr("soakd.attribution.look.tool_for", lambda *_: Imported())
    order = {"id": 1, "route": "python", "operations": W, "seconds": 10.0, "folder": str(tmp_path)}
    look = Look(order, "engine", fork=fork, live_bytes=lambda: 0, send=lambda body: events.append(body["state"]))
    for second in range(3):
        look.step(float(second), float(second))
    assert events == ["begun", "load", "fork", "failed"]
