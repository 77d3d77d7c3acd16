"""What an engine has noticed becomes records: with the next sample, and few."""

import json
import os
from typing import Any

import pytest

from soakd.wire.spec import WorkerSpec
from soakd.worker.housekeeping import MOST_FINDINGS, Housekeeping
from soakd.worker.load import Lanes, new_recorder
from soakd.worker.pipes import ControlPipe, RecordPipe, now

pytestmark = pytest.mark.usefixtures("every_object_is_seen")

SPEC = WorkerSpec(
    engine="mine", kind="authorize", role="subject", segment=0, seed=1, rate_per_s=100, profile="target",
    mix="standard", in_flight=8, phases=(), sample_every_s=0.001, collect_every_s=None, snapshot_every_s=None,
    latency_every_s=60.0,
)  # fmt: skip


def records_of(take_findings: Any, samples: int) -> list[dict[str, Any]]:
    """Keep house for some samples; return what was sent."""
    (control_end, control), (ours, records_end) = os.pipe(), os.pipe()
    keeping = Housekeeping(
        SPEC, ControlPipe(control_end), RecordPipe(records_end, "mine", 0), Lanes(new_recorder(), new_recorder())
    )
    keeping.begin(now().mono_s - 1.0, dict, take_findings)
    for number in range(samples):
        keeping(int((now().mono_s + number) * 1e9))
    keeping.close()
    os.close(records_end)
    with open(ours, "rb") as file:
        lines = [json.loads(line) for line in file]
    os.close(control)
    os.close(control_end)
    return lines


def test_findings_are_sent_as_incidents_before_the_sample_that_they_belong_to() -> None:
    waiting = [[{"what": "disagreement", "detail": "one"}], [], [{"what": "disagreement", "detail": "two"}]]
    sent = records_of(lambda: waiting.pop(0) if waiting else [], samples=9)
    kinds = [line["kind"] for line in sent if line["kind"] in ("incident", "sample")]
    assert kinds[:6] == ["incident", "sample", "sample", "incident", "sample", "sample"]
    assert [line["body"]["detail"] for line in sent if line["kind"] == "incident"] == ["one", "two"]


def test_of_a_flood_of_findings_a_few_are_sent() -> None:
    sent = records_of(lambda: [{"what": "disagreement", "detail": "again"}] * 15, samples=10)
    assert sum(line["kind"] == "incident" for line in sent) == MOST_FINDINGS


def test_an_engine_that_finds_nothing_sends_nothing() -> None:
    assert "incident" not in {line["kind"] for line in records_of(None, samples=3)}
