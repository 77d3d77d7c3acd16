"""The course of a look: windows as long as what is full takes to turn over, within the time that there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from soakd.worker.attribution.look import Look
from soakd.worker.attribution.tools import NoTool

pytestmark = pytest.mark.usefixtures("every_object_is_seen")

W = 100
SITE = {"site": "a.py:1 in f", "fingerprint": "f", "bytes_per_operation": 9.0, "confidence": "medium"}


@dataclass
class Answer:
    values: dict[str, Any] | None
    failure: str | None = None
    died: bool = False


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

    monkeypatch.setattr("soakd.worker.attribution.look.tool_for", lambda *_: Imported())
    order = {"id": 1, "route": "python", "operations": W, "seconds": 10.0, "folder": str(tmp_path)}
    look = Look(order, "engine", fork=fork, live_bytes=lambda: 0, send=lambda body: events.append(body["state"]))
    for second in range(3):
        look.step(float(second), float(second))
    assert events[:3] == ["begun", "load", "fork"]


READING = {"census": "", "sums": {}, "made": {}, "types": {}, "turnover": 0}
CRASH = Answer(None, "died of SIGSEGV", died=True)


@dataclass
class Course:
    """What a look with a tool did when its children answered so."""

    body: Mapping[str, Any]
    searched: list[bool]
    """Of each child that was forked."""
    forked_at: list[int]
    """The operations then."""
    counted: tuple[int, int]
    """What the last child was told of the operations between children."""
    deaths: list[str]


def with_a_tool(folder: Path, answers: list[Answer], monkeypatch: pytest.MonkeyPatch, **order: Any) -> Course:
    """Take a look with a tool that does nothing, whose children answer at once."""
    monkeypatch.setattr("soakd.worker.attribution.look.tool_for", lambda *_: NoTool())
    searched: list[bool] = []
    bodies: list[Mapping[str, Any]] = []
    deaths: list[str] = []
    forked_at: list[int] = []
    told: list[Any] = []

    def fork(job: Any, _: object) -> Child:
        searched.append(job.keywords["searches"])
        forked_at.append(second)
        told[:] = job.args[1:]
        return Child(answers.pop(0))

    whole = {"id": 1, "route": "python", "operations": W, "seconds": 1000.0, "folder": str(folder), **order}
    look = Look(
        whole, "engine", fork=fork, live_bytes=lambda: 0, send=bodies.append, report_death=deaths.append
    )  # fmt: skip
    for second in range(2000):
        look.step(float(second), float(second))
        if look.done:
            break
    assert list(folder.iterdir()) == []
    return Course(bodies[-1], searched, forked_at, told[0] if told else (0, 0), deaths)


@pytest.mark.parametrize(("crashes_at", "searched"), [
    (0, [True, False, False, False]), (1, [True, True, False, False]), (2, [True, True, True, False]),
])  # fmt: skip
def test_a_look_whose_child_crashed_says_so_at_once_and_goes_on_with_its_tool_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crashes_at: int, searched: list[bool]
) -> None:
    answers = [Answer(READING), Answer(READING), Answer({"sites": [dict(SITE)], "types": []})]
    answers.insert(crashes_at, CRASH)
    course = with_a_tool(tmp_path, answers, monkeypatch)
    assert course.searched == searched
    del course.forked_at[crashes_at]
    first, second, third = course.forked_at
    assert course.counted == (second - first, third - second)
    assert course.deaths == ["died of SIGSEGV"]
    assert course.body["state"] == "done"
    assert course.body["note"] == "containers were not searched: the forked child failed: died of SIGSEGV"
    assert [site["confidence"] for site in course.body["sites"]] == ["low"]


def test_a_look_whose_child_crashes_without_the_search_too_fails_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = with_a_tool(tmp_path, [CRASH, CRASH], monkeypatch)
    assert course.searched == [True, False]
    assert course.body["state"] == "failed"
    assert course.body["why"] == "without the search, too: the forked child failed: died of SIGSEGV"
    assert course.body["note"] == "containers were not searched: the forked child failed: died of SIGSEGV"
    assert course.deaths == ["died of SIGSEGV", "died of SIGSEGV"]


def test_a_light_look_has_no_other_way_and_fails_with_its_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = with_a_tool(tmp_path, [CRASH], monkeypatch, light=True)
    assert (course.body["state"], course.body["why"]) == ("failed", "the forked child failed: died of SIGSEGV")
    assert course.deaths == ["died of SIGSEGV"]


def test_a_look_whose_time_is_over_is_not_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    course = with_a_tool(tmp_path, [Answer(None, "killed after 90 s")], monkeypatch, seconds=0.5)
    assert (course.body["state"], course.body["why"]) == ("failed", "the forked child failed: killed after 90 s")
    assert course.deaths == []
