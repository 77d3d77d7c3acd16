"""What Prometheus scrapes."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from soakd import metrics
from soakd.status import RunStatus
from tests.showing import ORIGIN_S, hello, incident, outside, plan, sample, status_in_load, verdict_so_far

BOUNDS = ("low", "estimate", "high")
NAME = re.compile(r"soakd_[a-z0-9_]*[a-z0-9]")
ABBREVIATED = re.compile(r"_(?:ms|us|s|sec|kb|mb|min|minutes|hours|h|percent|milliseconds)(?:_|$)")


@pytest.fixture(autouse=True)
def _one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_build", lambda: {"version": "0.1.0", "python": "3.11.0"})


def scrape(status: RunStatus, t_s: float = 60.0) -> str:
    return metrics.render(status, ORIGIN_S + t_s).decode()


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for found in family.samples:
            yield found.name, found.labels, found.value


def values(text: str, name: str, **labels: str) -> list[float]:
    return [value for found, has, value in samples(text) if found == name and labels.items() <= has.items()]


def test_a_run_in_its_load_phase_is_exported_like_this(golden: Callable[[str, str], None]) -> None:
    status = status_in_load()
    status.fold([incident("cache-python", "crash"), incident("cache-python", "restart")])
    golden("metrics.txt", scrape(status))


def test_a_run_that_has_not_begun_is_exported_like_this(golden: Callable[[str, str], None]) -> None:
    golden("metrics-before.txt", scrape(RunStatus(plan(), "a-run")))


def test_an_unknown_value_is_absent_and_never_0() -> None:
    text = scrape(RunStatus(plan(), "a-run"))
    known = {name for name, _, _ in samples(text)}
    assert known == {
        "soakd_build_info", "soakd_run_info", "soakd_run_planned_seconds", "soakd_engine_up",
        "soakd_engine_planned_operations_per_second", "soakd_engine_restarts_total",
        "soakd_daemon_unreadable_records_total",
    }  # fmt: skip


def test_gauges_of_a_process_vanish_with_it_and_its_counters_stay() -> None:
    status = status_in_load()
    status.fold([incident("cache-rust", "crash")])
    text = scrape(status)
    assert values(text, "soakd_engine_up", engine="cache-rust") == [0.0]
    assert values(text, "soakd_engine_resident_memory_bytes", engine="cache-rust") == []
    assert values(text, "soakd_engine_live_bytes", engine="cache-rust") == []
    assert values(text, "soakd_engine_operations_total", engine="cache-rust", outcome="ok") == [102_000.0]


def test_every_counter_only_grows_through_a_crash_and_a_restart() -> None:
    status = status_in_load()
    before = dict(counters(scrape(status)))
    status.fold([incident("cache-rust", "crash"), hello("cache-rust", segment=1)])
    status.fold([sample("cache-rust", 61.0, 5, segment=1), outside("cache-rust", 61.0, segment=1, cpu_s_total=0.1)])
    after = dict(counters(scrape(status)))
    assert all(after[key] >= value for key, value in before.items())


def counters(text: str) -> Iterator[tuple[tuple[Any, ...], float]]:
    for name, labels, value in samples(text):
        if name.endswith(("_total", "_bucket", "_count", "_sum")):
            yield (name, *sorted(labels.items())), value


def test_names_follow_the_conventions() -> None:
    for family in text_string_to_metric_families(scrape(status_in_load())):
        assert NAME.fullmatch(family.name)
        assert not ABBREVIATED.search(family.name)
        assert family.documentation.endswith(".")
        names = {found.name for found in family.samples}
        if family.type == "counter":
            assert names == {f"{family.name}_total"}
        elif family.type == "gauge":
            assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))


def test_every_series_says_of_which_run_it_is() -> None:
    for name, labels, _ in samples(scrape(status_in_load())):
        assert labels.get("run") == "20260601-quick" or name == "soakd_build_info"


def test_promtool_finds_nothing_to_mend() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on PATH (Debian: apt-get install prometheus)")
    text = metrics.render(status_in_load(), ORIGIN_S + 60.0)
    result = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, b"")


def test_histograms_are_cumulative_and_end_with_the_count() -> None:
    buckets = values(scrape(status_in_load()), "soakd_engine_service_seconds_bucket", engine="cache-rust")
    assert buckets == sorted(buckets)
    assert [buckets[-1]] == values(scrape(status_in_load()), "soakd_engine_service_seconds_count", engine="cache-rust")


def test_growth_is_exported_in_the_unit_in_which_it_was_judged() -> None:
    text = scrape(status_in_load())
    rss = {"engine": "cache-rust", "signal": "rss_anon_bytes"}
    assert values(text, "soakd_engine_growth_bytes_per_second", bound="high", **rss) == [200.0]
    assert values(text, "soakd_engine_growth_bytes_per_operation", **rss) == [0.03]
    leak = {"engine": "control-leak", "signal": "reachable_bytes"}
    assert values(text, "soakd_engine_growth_bytes_per_operation", **leak) == [31.9]
    assert values(text, "soakd_engine_growth_bytes_per_second", **leak) == [pytest.approx(31.9 * 2000)]
    assert values(text, "soakd_engine_growth_bytes_per_second", bound="low", **leak) == []


def test_a_signal_judged_both_ways_has_one_series_of_each() -> None:
    status, verdict = status_in_load(), verdict_so_far()
    hourly = {"id": "growth.reachable_bytes", "estimate": 3600.0, "unit": "bytes/hour", "per_operation": 0.5}
    per_operation = {
        "id": "growth.reachable_bytes.per_operation", "estimate": 0.51, "unit": "bytes/operation", "per_hour": 7200.0
    }  # fmt: skip
    labels = {"engine": "cache-rust", "signal": "reachable_bytes"}
    for checks in ([hourly, per_operation], [per_operation, hourly]):
        verdict["engines"][0]["checks"] = checks
        status.apply_verdict(verdict)
        text = scrape(status)
        assert values(text, "soakd_engine_growth_bytes_per_second", bound="estimate", **labels) == [1.0]
        assert values(text, "soakd_engine_growth_bytes_per_operation", **labels) == [0.51]


def test_bounds_per_operation_are_exported_per_second_where_the_judge_gives_them() -> None:
    status, verdict = status_in_load(), verdict_so_far()
    hourly = {"per_hour_low": 3600.0, "per_hour_high": 10800.0, "per_hour_minimum_detectable": 18000.0}
    check = {"id": "growth.reachable_bytes", "estimate": 0.5, "unit": "bytes/operation", "per_hour": 7200.0}
    verdict["engines"][0]["checks"] = [check | hourly]
    status.apply_verdict(verdict)
    text, labels = scrape(status), {"engine": "cache-rust", "signal": "reachable_bytes"}
    found = {b: values(text, "soakd_engine_growth_bytes_per_second", bound=b, **labels) for b in BOUNDS}
    assert found == {"low": [1.0], "estimate": [2.0], "high": [3.0]}
    assert values(text, "soakd_engine_minimum_detectable_growth_bytes_per_second", **labels) == [5.0]


def test_the_shortest_time_to_any_limit_is_exported_and_absent_where_nothing_grows() -> None:
    status, verdict = status_in_load(), verdict_so_far()
    for check, seconds in zip(verdict["engines"][0]["checks"], (5000.0, 300.0), strict=False):
        check["time_to_limit_seconds"] = seconds
    status.apply_verdict(verdict)
    assert values(scrape(status), "soakd_engine_time_to_limit_seconds", engine="cache-rust") == [300.0]
    assert values(scrape(status), "soakd_engine_time_to_limit_seconds", engine="control-null") == []


def test_exactly_one_state_of_a_check_and_of_the_verdict_is_1() -> None:
    text = scrape(status_in_load())
    assert sum(values(text, "soakd_verdict_state")) == 1.0
    assert values(text, "soakd_verdict_state", state="INCOMPLETE") == [1.0]
    labels = {"engine": "cache-rust", "check": "growth.reachable_bytes"}
    assert len(values(text, "soakd_check_state", **labels)) == 5
    assert values(text, "soakd_check_state", state="PASS", **labels) == [1.0]


def test_what_an_engine_says_cannot_break_the_exposition() -> None:
    status = status_in_load()
    status.fold([incident("cache-rust", 'odd"} 1\nsoakd_verdict_state{state="PASS"} 1')])
    assert len(values(scrape(status), "soakd_verdict_state")) == 5
