"""The growth verdict on 150 labelled traces that are not in this repository (docs/adr/0003-growth-method.md)."""

import csv
import gzip
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from soakd.judge.growth.method import DAY_H, Growth, judge_growth

ROOT = Path(__file__).parent.parent.parent
CORPUS = Path(os.environ.get("SOAKD_CORPUS", ROOT.parent / "shared" / "corpus" / "growth"))

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not (CORPUS / "traces.csv.gz").exists(), reason=f"no growth corpus in {CORPUS}; set SOAKD_CORPUS"
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    id: str
    truth: str
    rate: float | None
    growth: Growth

    @property
    def covered(self) -> bool:
        """Whether the true rate lies in the interval."""
        assert self.rate is not None
        assert self.growth.low is not None
        assert self.growth.high is not None
        return self.growth.low <= self.rate <= self.growth.high


def table(name: str) -> dict[str, dict[str, str]]:
    with (CORPUS / name).open(encoding="utf-8") as lines:
        return {row["id"]: row for row in csv.DictReader(lines)}


def traces() -> Iterator[tuple[str, list[dict[str, str]]]]:
    with gzip.open(CORPUS / "traces.csv.gz", "rt", encoding="utf-8") as lines:
        for name, rows in groupby(csv.DictReader(lines), key=lambda row: row["id"]):
            yield name, list(rows)


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    """Every trace of the corpus, judged by its RSS in bytes against its limit per hour."""
    manifest, inputs = table("manifest.csv"), table("inputs.csv")
    judged = {}
    with ProcessPoolExecutor(2) as pool:
        for name, rows in traces():
            hours = np.array([float(row["t_s"]) for row in rows]) / 3600
            rss = np.array([float(row["rss_bytes"]) for row in rows])
            segment = np.array([int(row["segment"]) for row in rows])
            limit = float(inputs[name]["limit_mb_per_h"]) * 1e6
            judged[name] = pool.submit(judge_growth, hours, rss, segment, limit=limit, day=DAY_H)
        return [
            Answer(
                id=name,
                truth=manifest[name]["truth"],
                rate=float(rate) * 1e6 if (rate := manifest[name]["true_rate_mb_per_h"]) else None,
                growth=answer.result(),
            )
            for name, answer in judged.items()
        ]


def test_no_healthy_trace_fails(answers: list[Answer]) -> None:
    assert [a.id for a in answers if a.truth == "healthy" and a.growth.state == "FAIL"] == []


def test_no_leak_passes(answers: list[Answer]) -> None:
    assert [a.id for a in answers if a.truth == "leak" and a.growth.state == "PASS"] == []


def test_at_most_six_percent_are_left_open(answers: list[Answer]) -> None:
    decidable = [a for a in answers if a.truth != "undecidable"]
    left_open = [a.id for a in decidable if a.growth.state == "INCONCLUSIVE"]
    assert len(left_open) <= 0.06 * len(decidable), left_open


def test_the_interval_holds_the_true_rate_in_95_percent(answers: list[Answer]) -> None:
    known = [a for a in answers if a.rate is not None and a.truth != "undecidable"]
    missed = [a.id for a in known if not a.covered]
    assert len(missed) <= 0.05 * len(known), missed
