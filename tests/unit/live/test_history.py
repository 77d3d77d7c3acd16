"""Series that are thinned while they come."""

import math

import pytest

from soakd.live.status.history import BUCKETS, MOST_SERIES, History, Thinned, of_sample, units_of


def filled(count: int, every_s: float = 10.0) -> History:
    history = History(every_s)
    for number in range(count):
        history.put("rss_bytes", number * every_s, 1e6 + number)
    return history


def test_a_short_run_is_kept_reading_by_reading() -> None:
    read = filled(100).whole("rss_bytes")
    assert read.t_s == [10.0 * number + 5.0 for number in range(100)]
    assert read.last == read.least == read.greatest == [1e6 + number for number in range(100)]


@pytest.mark.parametrize("days", [1, 30])
def test_a_long_run_takes_no_more_than_a_short_one_and_loses_no_peak(days: int) -> None:
    count = days * 8640
    history = History(10.0)
    for number in range(count):
        history.put("rss_bytes", number * 10.0, 9e6 if number == count // 3 else 1e6)
    read = history.whole("rss_bytes")
    assert BUCKETS / 2 <= len(read.t_s) <= BUCKETS
    assert max(read.greatest) == 9e6
    assert read.greatest.count(9e6) == 1
    peak_s = read.t_s[read.greatest.index(9e6)]
    assert abs(peak_s - count // 3 * 10.0) <= history.width_s
    assert min(read.least) == 1e6


@pytest.mark.parametrize(("points", "most"), [(1, 1), (7, 7), (100, 100), (512, 512)])
def test_no_more_points_than_asked_for_and_the_extremes_are_in_them(points: int, most: int) -> None:
    read = filled(500).whole("rss_bytes", points)
    assert 1 <= len(read.t_s) <= most
    assert (min(read.least), max(read.greatest), read.last[-1]) == (1e6, 1e6 + 499, 1e6 + 499)


def test_a_series_with_no_point_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        filled(3).whole("rss_bytes", 0)


def test_a_gap_stays_a_gap() -> None:
    history = History(1.0)
    for second in (0, 1, 2, 50, 51):
        history.put("rss_bytes", second, second)
    assert history.whole("rss_bytes").t_s == [0.5, 1.5, 2.5, 50.5, 51.5]
    assert history.recent("rss_bytes").t_s == [0.5, 1.5, 2.5, 50.5, 51.5]


def test_the_latest_readings_are_kept_as_they_are() -> None:
    read = filled(10_000).recent("rss_bytes")
    assert len(read.t_s) == BUCKETS
    assert read.last == [1e6 + number for number in range(10_000 - BUCKETS, 10_000)]
    assert filled(10_000).recent("rss_bytes", 3).last == [1e6 + 9997, 1e6 + 9998, 1e6 + 9999]


def test_a_gap_longer_than_what_is_kept_leaves_nothing_old() -> None:
    history = filled(100, every_s=1.0)
    history.put("rss_bytes", 5000.0, 7.0)
    assert history.recent("rss_bytes") == Thinned(t_s=[5000.5], least=[7.0], greatest=[7.0], last=[7.0])


def test_signals_of_one_process_share_their_stretches() -> None:
    history = History(1.0)
    for second in range(3000):
        history.put("rss_bytes", second, 1.0)
        if second % 60 == 0:
            history.put("reachable_bytes", second, 1.0)
    both = set(history.whole("rss_bytes", 100).t_s)
    assert set(history.whole("reachable_bytes", 100).t_s) <= both


@pytest.mark.parametrize(("t_s", "value"), [(-1.0, 1.0), (math.nan, 1.0), (1.0, math.nan), (1.0, math.inf)])
def test_what_is_no_reading_of_the_run_is_left_out(t_s: float, value: float) -> None:
    history = History(1.0)
    history.put("rss_bytes", t_s, value)
    assert history.whole("rss_bytes").t_s == []


def test_a_counter_is_kept_as_its_rise_in_a_second_and_begins_again_with_a_life() -> None:
    history = History(1.0)
    for second, total in ((0, 0), (2, 100), (4, 400)):
        history.count("operations_total", second, total)
    history.count("operations_total", 5, 3)  # fell: another life that was not announced
    history.restart()
    history.count("operations_total", 6, 10)
    history.count("operations_total", 8, 30)
    read = history.whole("rate_per_s")
    assert read.last == [50.0, 150.0, 10.0]


def test_what_an_engine_invents_costs_a_bounded_number_of_series() -> None:
    history = History(1.0)
    for number in range(1000):
        history.put(f"made-up-{number}", 1.0, 1.0)
    assert len(history.signals) == MOST_SERIES


def test_of_a_sample_only_what_is_drawn_is_kept() -> None:
    history = History(1.0)
    body = {
        "rss_bytes": 1.0,
        "python_blocks": 5.0,
        "counter.entries": 3.0,
        "counter.hits": 9.0,
        "operations_total": 4.0,
    }
    of_sample(history, body, 1.0)
    assert history.signals == ["rss_bytes", "counter.entries"]


def test_an_older_history_is_taken_in_whichever_is_coarser() -> None:
    for older_count, newer_from in ((2000, 2000), (100, 100)):
        whole, older, newer = History(1.0), History(1.0), History(1.0)
        for second in range(4000):
            value = float(second % 97)
            whole.put("rss_bytes", second, value)
            (older if second < older_count else newer).put("rss_bytes", second, value)
        assert older_count == newer_from
        newer.add(older)
        assert newer.whole("rss_bytes") == whole.whole("rss_bytes")
        assert newer.recent("rss_bytes") == whole.recent("rss_bytes")


def test_readings_are_written_with_seven_digits() -> None:
    history = History(1.0)
    history.put("service_p95_s", 0.0, 0.000123456789)
    history.put("rss_bytes", 0.0, 41_234_567.0)
    assert history.whole("service_p95_s").as_dict()["last"] == [0.000123457]
    assert history.whole("rss_bytes").as_dict()["last"][0] == pytest.approx(41_234_567, rel=1e-7)


def test_every_signal_has_a_unit() -> None:
    named = ["rss_bytes", "rate_per_s", "service_p95_s", "cpu_cores", "host_others_ratio", "fds", "counter.entries"]
    units = dict(units_of(named))
    assert list(units.values()) == ["bytes", "per second", "seconds", "cores", "ratio", "count", "count"]
