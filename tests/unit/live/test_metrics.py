"""What Prometheus scrapes."""

import math
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from soakd.live import metrics
from soakd.live.metrics import engines
from soakd.live.status import BOUNDS_S, OWN_COUNTERS, RunStatus
from soakd.live.status.parts import MOST_NAMES
from soakd.setup.config import parse
from soakd.setup.plan import make_plan
from soakd.wire.records import INCIDENTS, Record
from tests.showing import (
    CONFIG,
    ORIGIN_S,
    hello,
    incident,
    latency,
    of_server,
    outside,
    plan,
    record,
    sample,
    server,
    status_in_load,
    verdict_so_far,
)
from tests.typed import typed
from tools import metrics_page

BOUNDS = ("low", "estimate", "high")
NAME = re.compile(r"soakd_[a-z0-9_]*[a-z0-9]")
SOURCES = Path(metrics.__file__).parents[2]
OWN = {f"counter.{name}": 3 + place for place, name in enumerate(OWN_COUNTERS)}
"""What a network engine counts itself."""
ABBREVIATED = re.compile(r"_(?:ms|us|s|sec|kb|mb|min|minutes|hours|h|percent|milliseconds)(?:_|$)")


@pytest.fixture(autouse=True)
def _one_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics.runs, "_build", lambda: ("0.1.0", "3.11.0"))


def scrape(status: RunStatus, t_s: float = 60.0) -> str:
    return metrics.render(status, ORIGIN_S + t_s).decode()


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for found in family.samples:
            yield found.name, found.labels, found.value


def values(text: str, name: str, **labels: str) -> list[float]:
    return [value for found, has, value in samples(text) if found == name and labels.items() <= has.items()]


def recovered(engine: str, recovery_s: float = 1.25) -> Record:
    return record("incident", engine, 58.0, {"what": "server_recovered", "recovery_s": recovery_s, "server": "redis"})


def test_a_run_in_its_load_phase_is_exported_like_this(golden: Callable[[str, str], None]) -> None:
    status = status_in_load()
    status.fold([incident("cache-python", "crash"), incident("cache-python", "restart")])
    status.fold([server("cache-python"), of_server("cache-python", 60.0)])
    status.fold([sample("cache-rust", 60.2, 102_000, **OWN), recovered("cache-python")])
    golden("metrics.txt", scrape(status))


def test_a_run_that_has_not_begun_is_exported_like_this(golden: Callable[[str, str], None]) -> None:
    golden("metrics-before.txt", scrape(RunStatus(plan(), "a-run")))


def test_an_unknown_value_is_absent_and_never_0() -> None:
    text = scrape(RunStatus(plan(), "a-run"))
    known = {name for name, _, _ in samples(text)}
    assert known == {
        "soakd_build_info", "soakd_run_info", "soakd_run_planned_seconds", "soakd_engine_up",
        "soakd_engine_planned_operations_per_second", "soakd_engine_restarts_total",
        "soakd_daemon_unreadable_records_total", "soakd_incidents_total", "soakd_engine_info", "soakd_engine_limit",
        "soakd_run_sample_period_seconds",
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


def test_the_page_about_metrics_says_what_the_code_does(golden: Callable[[str, str], None]) -> None:
    golden("../../docs/metrics.md", metrics_page.page())


def test_the_page_tells_of_every_family_once() -> None:
    rows = [family for _, families in metrics_page.SECTIONS for family in families]
    assert rows == list(metrics.FAMILIES)
    assert len({family.name for family in rows}) == len(rows)


def test_families_are_declared_as_they_are_exported() -> None:
    status = status_in_load()
    status.fold([server("cache-rust"), of_server("cache-rust", 60.0), recovered("cache-rust")])
    declared = {family.name.removesuffix("_total"): family for family in metrics.FAMILIES}
    for family in text_string_to_metric_families(scrape(status)):
        ours = declared[family.name]
        assert (family.type, family.documentation) == (ours.type.replace("info", "gauge"), f"{ours.meaning}.")
        for found in family.samples:
            assert found.labels.keys() - {"run", "le"} == set(ours.labels)


def test_a_server_is_exported_beside_its_engine_and_not_as_it() -> None:
    status = status_in_load()
    status.fold([server("cache-rust", kind="opa"), of_server("cache-rust", 60.0, kind="opa")])
    text, labels = scrape(status), {"engine": "cache-rust", "backend": "opa"}
    assert values(text, "soakd_backend_resident_memory_bytes", **labels) == [14_200_000.0]
    assert values(text, "soakd_backend_live_bytes", **labels) == [1_900_000.0]
    assert values(text, "soakd_engine_resident_memory_bytes", engine="cache-rust") == [41_200_000.0]
    assert values(text, "soakd_probe_duration_seconds", engine="cache-rust", probe="server") == [0.0004]


def test_gauges_of_a_server_vanish_while_it_is_down_and_its_counters_stay() -> None:
    status = status_in_load()
    status.fold([server("cache-rust"), of_server("cache-rust", 60.0)])
    status.fold([incident("cache-rust", "server_crash"), incident("cache-rust", "server_restart")])
    text = scrape(status)
    assert values(text, "soakd_backend_up", engine="cache-rust") == [0.0]
    assert values(text, "soakd_backend_resident_memory_bytes") == []
    assert values(text, "soakd_backend_restarts_total", engine="cache-rust") == [1.0]
    assert values(text, "soakd_backend_cpu_seconds_total", engine="cache-rust") == [1.2]
    assert values(text, "soakd_engine_up", engine="cache-rust") == [1.0]
    assert values(text, "soakd_engine_restarts_total", engine="cache-rust") == [0.0]


def test_what_cannot_be_read_of_a_server_is_absent_and_never_the_last_reading() -> None:
    status = status_in_load()
    status.fold([of_server("cache-rust", 59.0)])
    status.fold([record("sample", "cache-rust", 60.0, {"source": "server", "server": "redis", "live_bytes": 7})])
    text = scrape(status)
    assert values(text, "soakd_backend_live_bytes") == []
    status.fold([server("cache-rust")])
    text = scrape(status)
    assert values(text, "soakd_backend_live_bytes") == [7.0]
    assert values(text, "soakd_backend_resident_memory_bytes") == []


def test_what_an_engine_counts_itself_is_a_counter_and_absent_where_it_does_not() -> None:
    status = status_in_load()
    status.fold(
        [sample("cache-rust", 61.0, 102_000, **{"counter.compared_total": 7, "counter.disagreements_total": 2})]
    )
    status.fold([incident("cache-rust", "crash"), hello("cache-rust", segment=1)])
    status.fold([sample("cache-rust", 62.0, 5, segment=1, **{"counter.compared_total": 1})])
    text = scrape(status)
    assert values(text, "soakd_engine_compared_total") == [8.0]
    assert values(text, "soakd_engine_disagreements_total") == [2.0]
    assert values(text, "soakd_engine_retries_total") == []


def test_labels_of_incidents_and_probes_are_closed_sets() -> None:
    status = status_in_load()
    status.fold([incident("cache-rust", f"what-{number}") for number in range(100)])
    status.fold([incident("", "memory_reserve"), incident("cache-rust", "disagreement")])
    odd: dict[str, Any] = {f"probe.odd-{number}.duration_s": 0.1 for number in range(100)}
    status.fold([sample("cache-rust", 61.0, 102_000, **odd, **{"probe.odd.failures_total": 3})])
    found = list(samples(scrape(status)))
    kinds = {labels["kind"]: value for name, labels, value in found if name == "soakd_incidents_total"}
    assert {kind: count for kind, count in kinds.items() if count} == {
        "other": 100.0, "memory_reserve": 1.0, "disagreement": 1.0
    }  # fmt: skip
    assert kinds.keys() == INCIDENTS | {"other"}
    assert {labels["probe"] for _, labels, _ in found if "probe" in labels} <= set(engines.PROBES)


def test_every_incident_and_probe_of_the_code_is_exported_by_its_name() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py"))
    incidents = set(re.findall(r'_incident\([^"\n]*"(\w+)",', source))
    incidents |= set(re.findall(r'"incident",[^\n]*\{\s*"what": "(\w+)"', source))
    assert len(incidents) >= 6
    assert incidents <= INCIDENTS
    probes = set(re.findall(r'TieredProbe\(\s*"(\w+)"', source))
    probes |= set(re.findall(r'"probe\.(\w+)\.(?:duration_s|failures_total)"', source))
    assert len(probes) >= 8
    assert probes <= set(engines.PROBES)


def test_a_name_with_quotes_newlines_and_unicode_is_escaped() -> None:
    status = status_in_load()
    status.engines["cache-rust"].name = odd = 'a "b"\\c\nd é 漢'
    assert values(scrape(status), "soakd_engine_up", engine=odd) == [1.0]


def test_nothing_is_exported_as_nan() -> None:
    status, verdict = status_in_load(), verdict_so_far()
    verdict["engines"][0]["checks"][1] |= {"estimate": float("nan"), "time_to_limit_seconds": float("nan")}
    status.apply_verdict(typed(verdict))
    status.fold([sample("cache-rust", 61.0, 102_000, tasks=float("nan"))])
    assert [name for name, _, value in samples(scrape(status)) if math.isnan(value)] == []


def test_a_scrape_has_as_many_series_after_a_storm_of_names_as_before() -> None:
    status = status_in_load()
    before = len(list(samples(scrape(status))))
    for number in range(2 * MOST_NAMES):
        status.fold(
            [incident("cache-rust", f"what-{number}"), sample("cache-rust", 61.0, 102_000, **{f"x{number}": 1})]
        )
        status.fold([sample("cache-rust", 61.0, 102_000, **{f"counter.c{number}_total": 1})])
    assert len(list(samples(scrape(status)))) == before + 1, "incidents of an unknown kind"


def test_histograms_hold_every_window_of_every_life_and_only_grow() -> None:
    status, last = status_in_load(), [0.0] * (len(BOUNDS_S) + 1)
    windows = [(0, 5e-6, 100), (0, 2.0, 3), (1, 20.0, 4), (1, 30e-6, 50)]
    for segment, service_s, count in windows:
        status.fold([incident("cache-rust", "crash"), hello("cache-rust", segment=segment)])
        window = latency("cache-rust", 61.0, service_s=service_s, count=count)
        status.fold([record("latency", "cache-rust", 61.0, window.body, segment=segment)])
        buckets = values(scrape(status), "soakd_engine_service_seconds_bucket", engine="cache-rust")
        assert all(now >= before for before, now in zip(last, buckets, strict=True))
        last = buckets
    assert last[-1] == 1000 + sum(count for _, _, count in windows)
    assert (last[0], last[-1] - last[-2]) == (100.0, 4.0), "5 us is below the first bound, 20 s above the last"
    (total_s,) = values(scrape(status), "soakd_engine_service_seconds_sum", engine="cache-rust")
    assert total_s == pytest.approx(1000 * 12e-6 + 100 * 5e-6 + 3 * 2.0 + 4 * 20.0 + 50 * 30e-6, rel=0.02)


def test_histograms_are_cumulative_and_end_with_the_count() -> None:
    buckets = values(scrape(status_in_load()), "soakd_engine_service_seconds_bucket", engine="cache-rust")
    assert buckets == sorted(buckets)
    assert [buckets[-1]] == values(scrape(status_in_load()), "soakd_engine_service_seconds_count", engine="cache-rust")


def test_growth_is_exported_in_the_unit_in_which_it_was_judged() -> None:
    text = scrape(status_in_load())
    rss = {"engine": "cache-rust", "signal": "resident_bytes"}
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
        status.apply_verdict(typed(verdict))
        text = scrape(status)
        assert values(text, "soakd_engine_growth_bytes_per_second", bound="estimate", **labels) == [1.0]
        assert values(text, "soakd_engine_growth_bytes_per_operation", **labels) == [0.51]


def test_bounds_per_operation_are_exported_per_second_where_the_judge_gives_them() -> None:
    status, verdict = status_in_load(), verdict_so_far()
    hourly = {"per_hour_low": 3600.0, "per_hour_high": 10800.0, "per_hour_minimum_detectable": 18000.0}
    check = {"id": "growth.reachable_bytes", "estimate": 0.5, "unit": "bytes/operation", "per_hour": 7200.0}
    verdict["engines"][0]["checks"] = [check | hourly]
    status.apply_verdict(typed(verdict))
    text, labels = scrape(status), {"engine": "cache-rust", "signal": "reachable_bytes"}
    found = {b: values(text, "soakd_engine_growth_bytes_per_second", bound=b, **labels) for b in BOUNDS}
    assert found == {"low": [1.0], "estimate": [2.0], "high": [3.0]}
    assert values(text, "soakd_engine_minimum_detectable_growth_bytes_per_second", **labels) == [5.0]


def test_the_shortest_time_to_any_limit_is_exported_and_absent_where_nothing_grows() -> None:
    status, verdict = status_in_load(), verdict_so_far()
    for check, seconds in zip(verdict["engines"][0]["checks"], (5000.0, 300.0), strict=False):
        check["time_to_limit_seconds"] = seconds
    status.apply_verdict(typed(verdict))
    assert values(scrape(status), "soakd_engine_time_to_limit_seconds", engine="cache-rust") == [300.0]
    assert values(scrape(status), "soakd_engine_time_to_limit_seconds", engine="control-null") == []


def test_limits_are_exported_in_base_units_and_absent_where_they_are_off() -> None:
    text, engine = scrape(status_in_load()), "cache-rust"
    found = {limit: values(text, "soakd_engine_limit", engine=engine, limit=limit) for limit in engines.LIMITS}
    assert found["growth_per_operation"] == [16.0]
    assert found["growth_rate"] == found["response_p99"] == [], "not named beside a limit per operation"
    assert (found["latency_p95"], found["error_ratio"], found["cpu_ratio"]) == ([0.0005], [0.01], [0.8])
    hourly = CONFIG.replace('growth_per_operation = "16B"', 'growth_rate = "3.6MB/h"').format(duration="6h")
    run = RunStatus(make_plan(parse(hourly, source="a.toml", folder=Path())), "a-run")
    assert values(scrape(run), "soakd_engine_limit", engine=engine, limit="growth_rate") == [1000.0]


def test_exactly_one_phase_is_1_and_none_is_known_before_the_first() -> None:
    text = scrape(status_in_load())
    assert values(text, "soakd_run_phase", phase="load") == [1.0]
    assert sum(values(text, "soakd_run_phase")) == 1.0
    assert len(values(text, "soakd_run_phase")) == 5
    assert values(scrape(RunStatus(plan(), "a-run")), "soakd_run_phase") == []


def test_the_answer_so_far_is_that_of_the_engines_that_decide() -> None:
    text = scrape(status_in_load())
    assert values(text, "soakd_verdict_so_far_state", state="INCONCLUSIVE") == [1.0], "a rival decides nothing"
    assert values(text, "soakd_verdict_state", state="INCOMPLETE") == [1.0]


def test_what_the_host_has_left_is_beside_what_must_stay() -> None:
    status = status_in_load()
    status.fold([outside("", 61.0, memory_available_bytes=4e9, memory_reserve_bytes=5e8)])
    text = scrape(status)
    assert values(text, "soakd_host_memory_available_bytes") == [4e9]
    assert values(text, "soakd_host_memory_reserve_bytes") == [5e8]


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
