"""A deep look in the worker: it waits for load, tools for the reload phase, and it ends with the phase."""

from pathlib import Path
from typing import Any

import pytest

from soakd.worker import look_runner
from soakd.worker.look_runner import LookRunner

pytestmark = pytest.mark.usefixtures("every_object_is_seen")


class Records:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, kind: str, body: dict[str, Any]) -> None:
        assert kind == "attribution"
        self.sent.append(body)


class Child:
    def poll(self) -> None:
        return None

    def kill(self) -> None:
        return None


@pytest.fixture(autouse=True)
def no_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look_runner, "_fork", lambda *_: Child())


def order(folder: Path, **more: Any) -> dict[str, Any]:
    return {"id": 7, "route": "python", "operations": 10, "seconds": 5.0, "folder": str(folder), **more}


def test_an_order_waits_for_the_reload_phase_and_a_light_one_only_for_load(tmp_path: Path) -> None:
    records = Records()
    looks = LookRunner("e", records)  # type: ignore[arg-type]
    looks.order(order(tmp_path))
    for phase in ("baseline", "load", "drain"):
        looks.step(phase, 1.0, 0.0)
    assert (looks.active, records.sent) == (False, [])
    looks.step("reload", 2.0, 0.0)
    assert (looks.active, looks.disturbs) == (True, True)
    assert [body["state"] for body in records.sent] == ["begun"]

    light = LookRunner("e", records)  # type: ignore[arg-type]
    light.order(order(tmp_path, light=True))
    light.step("load", 2.0, 0.0)
    assert light.active


def test_a_look_ends_with_its_phase_and_says_so(tmp_path: Path) -> None:
    records = Records()
    looks = LookRunner("e", records)  # type: ignore[arg-type]
    looks.order(order(tmp_path))
    looks.step("reload", 2.0, 0.0)
    looks.leave("the phase ended")
    assert not looks.active
    assert not looks.disturbs
    assert (records.sent[-1]["state"], records.sent[-1]["why"]) == ("failed", "the phase ended")


def test_a_child_that_cannot_be_forked_costs_the_look_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Child:
        raise OSError("no memory")

    monkeypatch.setattr(look_runner, "_fork", refuse)
    records = Records()
    looks = LookRunner("e", records)  # type: ignore[arg-type]
    looks.order(order(tmp_path))
    looks.step("reload", 2.0, 0.0)
    assert not looks.active
    assert records.sent[-1]["why"] == "OSError: no memory"
