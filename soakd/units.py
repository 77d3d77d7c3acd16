"""Converts quantities between the way people write them and base units: seconds, bytes, operations.

`parse_*` read configurations and command lines, `format_*` write for people. Decimal prefixes are powers of ten
(1 MB = 1e6 bytes), binary ones powers of two (1 MiB = 2**20 bytes); both are read, decimal ones are written. A space
separates number and unit, as in `verdict.wording`, except in durations, which are written as in configurations.
"""

import math
import re

SECONDS = {
    "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0,
    "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0, "w": 604800.0,
}  # fmt: skip
BYTES = {
    "B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
    "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40,
}  # fmt: skip
TIME_UNITS = (*SECONDS, "iso")
"""Units that a column of times may have."""

_QUANTITY = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]+)\s*")


def parse_duration(text: str) -> float:
    """Parse "24h", "5min", "1h30min" or "90s"; return seconds.

    Raises:
        ValueError: no unit, an unknown unit, a negative or unreadable number.
    """
    return _sum_of_parts(text, SECONDS, 'a duration such as "30s", "5min", "24h" or "7d"')


def parse_size(text: str) -> float:
    """Parse "64KiB", "100MB" or "16B"; return bytes.

    Raises:
        ValueError: as for `parse_duration`.
    """
    return _sum_of_parts(text, BYTES, 'a size such as "16B", "64KiB" or "100MB"')


def parse_growth_rate(text: str) -> float:
    """Parse "1MB/h" or "24MB/d"; return bytes per hour.

    Raises:
        ValueError: not a size per time.
    """
    size, slash, per = text.partition("/")
    if not slash or per.strip() not in SECONDS:
        raise ValueError(f'expected growth per time such as "1MB/h", got "{text}"')
    rate = parse_size(size) / SECONDS[per.strip()] * 3600.0
    if not math.isfinite(rate):
        raise ValueError(f'expected growth per time such as "1MB/h", got "{text}"')
    return rate


def format_duration(seconds: float) -> str:
    """Format seconds in at most two units: "24h", "1h 30min", "45s", "5ms"."""
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds == 0:
        return "0s"
    if seconds < 1:
        return format_latency(seconds).replace(" ", "")
    if seconds < 10 and seconds != round(seconds):
        return f"{seconds:.1f}s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    if whole <= 86400:  # 24h reads better than 1d
        parts = [(whole // 3600, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next(i for i, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count}{unit}" for count, unit in parts[first : first + 2] if count)


def format_latency(seconds: float) -> str:
    """Format a latency with three significant digits: "2.1 us", "840 us", "1.2 ms", "3.4 s"."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if abs(seconds) >= factor:
            return f"{_three_digits(seconds / factor)} {unit}"
    return f"{_three_digits(seconds / 1e-9)} ns" if seconds else "0 s"


def format_bytes(count: float) -> str:
    """Format bytes with three significant digits and a decimal prefix: "41.2 MB", "512 B"."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(count) >= factor * 0.9995:
            return f"{_three_digits(count / factor)} {unit}"
    return f"{_three_digits(count)} B"


def format_rate(per_hour: float) -> str:
    """Format bytes per hour in MB/h, the unit of limits: "3.10 MB/h"."""
    megabytes = per_hour / 1e6
    if abs(megabytes) >= 100:
        return f"{megabytes:.0f} MB/h"
    return f"{megabytes:.2f} MB/h" if abs(megabytes) < 10 else f"{megabytes:.1f} MB/h"


def format_count(number: float) -> str:
    """Format a count: whole numbers with thousands separators, others with three significant digits."""
    return f"{number:,.0f}" if number == round(number) else _three_digits(number)


def _sum_of_parts(text: str, table: dict[str, float], expected: str) -> float:
    total, position = 0.0, 0
    while position < len(text):
        part = _QUANTITY.match(text, position)
        if part is None or part[2] not in table:
            raise ValueError(f'expected {expected}, got "{text}"')
        total += float(part[1]) * table[part[2]]
        position = part.end()
    if not text.strip() or not math.isfinite(total):
        raise ValueError(f'expected {expected}, got "{text}"')
    return total


def _three_digits(number: float) -> str:
    if number == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    text = f"{number:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
