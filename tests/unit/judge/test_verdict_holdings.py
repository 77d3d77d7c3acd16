"""What an engine holds outside of its memory decides; where nothing was held, or too rarely read, there is no check."""

import math

import pytest

from tests.recorded import Level, Story, check, flat, judged, per_hour, plan_of

DAY = plan_of(
    duration="24h", every="5min", run='controls_off = ["null", "leak"]\ncollect_every = "5min"',
    limits='growth_rate = "1MB/h"\ntotal_growth = "off"\nreturn_to_baseline = "off"',
)  # fmt: skip
SIGNALS = ("held_file_bytes", "queued_bytes", "scratch_bytes")


@pytest.mark.parametrize("signal", SIGNALS)
def test_growth_beyond_the_limit_fails_and_names_its_class(signal: str) -> None:
    verdict = judged(DAY, mine=Story(more={signal: per_hour(2e6)}))
    found, [engine] = check(verdict, "mine", f"growth.{signal}"), verdict["engines"]
    assert (found["verdict"], found["unit"], found["limit"]) == ("FAIL", "bytes", 23.3e6)
    assert found["estimate"] == pytest.approx(2e6 * 23.3, rel=0.02)
    assert "grew by 46." in engine["reason"]
    assert engine["class"] in ("held_files", "queues", "files_left")
    assert engine["reason"] in verdict["summary"]


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(
    "level",
    [
        lambda t_s, n: 5e8,
        per_hour(0.3e6),
        lambda t_s, n: 4e8 * (1 - math.exp(-t_s / 3000)),
        lambda t_s, n: 1e8 * (t_s // 300 % 7),
    ],
    ids=["much of it", "slow", "a fill", "bursts"],
)
def test_what_healthy_engines_hold_passes(signal: str, level: Level) -> None:
    verdict = judged(DAY, mine=Story(more={signal: level}))
    assert check(verdict, "mine", f"growth.{signal}")["verdict"] == "PASS"
    assert verdict["engines"][0]["verdict"] == "PASS"


def test_a_log_that_grows_is_told_and_fails_nothing() -> None:
    verdict = judged(DAY, mine=Story(more={"open_file_bytes": per_hour(50e6)}))
    found = check(verdict, "mine", "growth.open_file_bytes")
    assert (found["verdict"], found["decides"], verdict["engines"][0]["verdict"]) == ("FAIL", False, "PASS")


def test_where_nothing_was_held_or_read_too_rarely_there_is_no_check() -> None:
    few = Story(more={"queued_bytes": per_hour(9e6)}, silent_from_s={"queued_bytes": 5000.0})
    for story in (Story(), Story(more=dict.fromkeys(SIGNALS, flat)), few):
        [engine] = judged(DAY, mine=story)["engines"]
        assert not [c["id"] for c in engine["checks"] if c["id"].removeprefix("growth.") in SIGNALS]


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(
    "level",
    [
        lambda t_s, n: 1e8 if t_s < 20_000 else 3e6 * (t_s - 20_000) / 3600,
        lambda t_s, n: 1e5 * max(0.0, t_s - 79_000),
    ],
    ids=["after a fall", "at the end"],
)
def test_what_levels_do_not_show_fails_too(signal: str, level: Level) -> None:
    assert check(judged(DAY, mine=Story(more={signal: level})), "mine", f"growth.{signal}")["verdict"] == "FAIL"


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_burst_of_any_size_passes(signal: str) -> None:
    burst = Story(more={signal: lambda t_s, n: 9e9 if 60_000 <= t_s < 60_600 else 1e6})
    assert check(judged(DAY, mine=burst), "mine", f"growth.{signal}")["verdict"] == "PASS"
