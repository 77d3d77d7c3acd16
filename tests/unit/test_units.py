import pytest

from soakd import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24h", 86400.0),
        ("5min", 300.0),
        ("90s", 90.0),
        ("1h30min", 5400.0),
        ("250ms", 0.25),
        ("7d", 604800.0),
        ("1.5 h", 5400.0),
    ],
)
def test_durations_are_read_in_seconds(text: str, seconds: float) -> None:
    assert units.parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "24", "h", "-5s", "5 parsecs", "1h-30min", "1e999s", "5s extra"])
def test_a_duration_without_a_number_and_a_known_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        units.parse_duration(text)


def test_decimal_and_binary_sizes_differ() -> None:
    assert units.parse_size("1MB") == 1e6
    assert units.parse_size("1MiB") == 2.0**20
    assert units.parse_size("16B") == 16.0


def test_growth_rates_are_read_per_hour() -> None:
    assert units.parse_growth_rate("1MB/h") == 1e6
    assert units.parse_growth_rate("24MB/d") == pytest.approx(1e6)


@pytest.mark.parametrize("text", ["1MB", "1MB/", "1h/MB", "MB/h", "1e300MB/ns"])
def test_a_growth_rate_needs_a_size_and_a_time(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        units.parse_growth_rate(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0021, "2.1ms"),
        (1.5, "1.5s"),
        (90, "1min 30s"),
        (5400, "1h 30min"),
        (86400, "24h"),
        (90000, "1d 1h"),
        (-90, "-1min 30s"),
    ],
)
def test_durations_are_written_in_at_most_two_units(seconds: float, text: str) -> None:
    assert units.format_duration(seconds) == text


def test_numbers_are_written_with_three_digits_and_a_unit() -> None:
    assert units.format_bytes(41_234_567) == "41.2 MB"
    assert units.format_bytes(512) == "512 B"
    assert units.format_latency(0.00084) == "840 us"
    assert units.format_rate(3.1e6) == "3.10 MB/h"
    assert units.format_count(1234567) == "1,234,567"
