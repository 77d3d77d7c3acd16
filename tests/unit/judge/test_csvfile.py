import gzip
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from soakd.errors import ConfigError
from soakd.judge.csvfile import TableColumns, judge_file, read_limits, read_series

FLAT = [(60.0 * i, 100_000_000 + 4096 * (i % 3)) for i in range(1440)]
LEAK = [(t, y + int(3e6 * t / 3600)) for t, y in FLAT]
LIMIT = 1e6

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_file(text: str) -> Path:
        path = tmp_path / "series.csv"
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return write_file


def table(samples: list[tuple[float, int]], head: str = "t_s,rss_bytes") -> str:
    return head + "\n" + "".join(f"{t:g},{y}\n" for t, y in samples)


def states(path: Path, **columns: str | int) -> dict[str, str]:
    return {row["id"]: row["verdict"] for row in judge_file(path, TableColumns(**columns), LIMIT)}  # type: ignore[arg-type]


def test_a_leak_fails_and_its_leak_free_twin_passes(write: Write) -> None:
    assert states(write(table(LEAK))) == {"-": "FAIL"}
    assert states(write(table(FLAT))) == {"-": "PASS"}


def test_the_rate_is_in_megabytes_an_hour_and_within_its_interval(write: Write) -> None:
    row = judge_file(write(table(LEAK)), TableColumns(), LIMIT)[0]
    assert row["ci_low"] <= 3.0 <= row["ci_high"]
    assert 1.0 < row["mdr_mb_per_h"] < 1.1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("t_s,rss_bytes\n", "has a header and no samples"),
        ("t_s,rss_bytes\n0,1\n60", "line 3: 1 cells where the header has 2: cut short?"),
        ("t_s,rss_bytes\n0,1\n60,1000", "line 3: the last line has no line break: cut short?"),
        ('t_s,rss_bytes\n0,"1\n', "line 2: cannot be read: unexpected end of data"),
        ("t_s,rss_bytes\n0,1,2\n", "line 2: 3 cells where the header has 2"),
        ("t_s,rss_bytes\n0,1\n60,NaN\n", 'line 3: "NaN" is not a finite number'),
        ("t_s,rss_bytes\n0,inf\n", 'line 2: "inf" is not a finite number'),
        ("t_s,rss_bytes\n0,\n", 'line 2: "" is not a number'),
        ("t_s,rss_bytes\n0,1\n60,-5\n", "line 3: memory is never below 0, got -5"),
        ("t_s,rss_bytes\n0,1\n60,1e300\n", 'column "rss_bytes": 1e+300 is more memory than there is: wrong unit?'),
        ("t_s,rss_bytes\n0,0\n60,0\n", 'column "rss_bytes" is 0 in every row: nothing was measured'),
        ("t_s,rss_bytes\n0,1\n1e200,1\n", "times up to 1e+200 are not s: give --time-unit"),
        ("t_s,rss_bytes\n\n# note\n0,12MB\n", 'line 4: "12MB" is not a number'),
        ("t_s,rss_bytes\n0,1_000\n", "is not a finite number"),
        ("t_s,rss_bytes\n0,1\nnan,1\n", 'line 3: "nan" is not a finite number'),
        ("t_s,rss_bytes\n2030-01-31T12:00:00,1\n0,1\n", '"0" is not a date and time'),
        ("t_s,rss_bytes\n2030-01-31T12:00:00,1\n2030-01-31T12:00:00Z,1\n", "some times have a zone and some have none"),
        ("t_s,memory\n0,1\n", "--value: which column?; columns: t_s, memory"),
        ("0,100\n60,100\n", "line 1: is data; a header line"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_file_line_and_what(write: Write, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=r"series\.csv: ") as caught:
        judge_file(write(text), TableColumns(), LIMIT)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"time": "when"}, '--time: no column "when"; columns: t_s, rss_bytes'),
        ({"value": "3"}, '--value: no column "3"'),
        ({"value": "0"}, '--value: no column "0"'),
        ({"group": "pid"}, '--group: no column "pid"'),
        ({"segment": "life"}, '--segment: no column "life"'),
        ({"heap": "heap"}, '--heap: no column "heap"'),
        ({"skip": 9999}, "is empty after the first 9999 lines"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(
    write: Write, columns: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        states(write(table(FLAT)), **columns)
    assert message in str(caught.value)


def test_two_columns_of_one_name_are_told_apart_by_number(write: Write) -> None:
    path = write("t_s,rss,rss\n" + "".join(f"{t},{y},{y + 5e6 * t / 3600}\n" for t, y in FLAT))
    with pytest.raises(ConfigError, match='2 columns are named "rss": give its number'):
        states(path, value="rss")
    assert states(path, value="2", value_unit="B") == {"-": "PASS"}
    assert states(path, value="3", value_unit="B") == {"-": "FAIL"}


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_file_cut_within_its_last_line_is_never_judged(write: Write, cut: int) -> None:
    with pytest.raises(ConfigError, match=r"line 1441: "):
        judge_file(write(table(FLAT)[:-cut]), TableColumns(), LIMIT)


def test_a_compressed_file_is_known_by_its_content_and_a_cut_one_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "series.data"
    whole = gzip.compress(table(LEAK).encode())
    path.write_bytes(whole)
    assert states(path) == {"-": "FAIL"}
    for end in (2, 9, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(ConfigError, match="cannot be read"):
            states(path)


def test_a_file_that_is_not_text_or_not_there_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "series.csv"
    with pytest.raises(ConfigError, match="No such file"):
        states(path)
    with pytest.raises(ConfigError, match="Is a directory"):
        states(tmp_path)
    for content in (b"\xff\xfet\x00_\x00s\x00", b"t_s,rss_bytes\n0,\xff\n", b"t_s,rss_bytes\n0,\x001\n"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"series\.csv"):
            states(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("between", [",", ";", "\t", " ", ", "])
def test_line_ends_marks_and_delimiters_make_no_difference(write: Write, end: str, mark: str, between: str) -> None:
    text = table(LEAK).replace("\n", end).replace(",", between)
    assert read_series(write(mark + text), TableColumns()) == read_series(write(table(LEAK)), TableColumns())


def test_order_and_duplicates_make_no_difference(write: Write) -> None:
    once = judge_file(write(table(LEAK)), TableColumns(), LIMIT)
    assert judge_file(write(table(LEAK[::-1] + LEAK[:700])), TableColumns(), LIMIT) == once


@pytest.mark.parametrize(
    ("unit", "time"),
    [
        ("s", lambda s: f"{s:g}"),
        (None, lambda s: f"{1_900_000_000 + s:.0f}"),
        ("ms", lambda s: f"{(1_900_000_000 + s) * 1e3:.0f}"),
        ("min", lambda s: f"{s / 60}"),
        ("h", lambda s: f"{s / 3600}"),
        ("iso", lambda s: f"2030-01-01T{s // 3600:02.0f}:{s // 60 % 60:02.0f}:00"),
        (None, lambda s: f"2030-01-01 {s // 3600:02.0f}:{s // 60 % 60:02.0f}:00"),
        (None, lambda s: f"2030-01-01T{s // 3600:02.0f}:{s // 60 % 60:02.0f}:00Z"),
        (None, lambda s: f"2030-01-01T{s // 3600:02.0f}:{s // 60 % 60:02.0f}:00.000+02:00"),
    ],
)
def test_times_may_stand_in_any_unit(write: Write, unit: str | None, time: Callable[[float], str]) -> None:
    path = write("time,rss_bytes\n" + "".join(f"{time(t)},{y}\n" for t, y in LEAK))
    row = judge_file(path, TableColumns(time_unit=unit), LIMIT)[0]
    assert row["growth_mb_per_h"] == pytest.approx(3.0, rel=1e-3)


def test_times_without_a_zone_do_not_depend_on_where_they_are_read(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("time,rss_bytes\n2030-03-31T00:30:00,5000000\n2030-03-31T04:30:00,5000000\n")
    monkeypatch.setenv("TZ", "Europe/Berlin")  # where the clock skips an hour in that night
    first, last = read_series(path, TableColumns())["-"].t_h
    assert last - first == 4.0


@pytest.mark.parametrize(("unit", "scale"), [("kB", 1e3), ("KiB", 1024), ("MB", 1e6), ("GiB", 2**30)])
def test_values_may_stand_in_any_unit(write: Write, unit: str, scale: float) -> None:
    path = write("t_s,value\n" + "".join(f"{t},{y / scale!r}\n" for t, y in LEAK))
    assert judge_file(path, TableColumns(value_unit=unit), LIMIT)[0]["growth_mb_per_h"] == pytest.approx(3.0, rel=1e-3)


@pytest.mark.parametrize(
    ("time", "value", "message"),
    [
        ("elapsed", "rss_bytes", '--time-unit: column "elapsed" does not say its unit: give it (ns, us, ms, s, '),
        ("time", "rss_bytes", '--time-unit: column "time" does not say its unit'),
        ("t", "rss_bytes", '--time-unit: column "t" does not say its unit'),
        ("time_ms_s", "rss_bytes", "does not say its unit"),
        ("t_s", "RSS", '--value-unit: column "RSS" does not say its unit: give it (B, kB, KB, MB, '),
        ("t_s", "value", '--value-unit: column "value" does not say its unit'),
        ("t_s", "heap_b", "does not say its unit"),
        ("t_s", "rss_kb", '--value-unit: column "rss_kb": kB or KiB? give one of them'),
        ("t_s", "rssKB", '--value-unit: column "rssKB": kB or KiB?'),
        ("t_s", "rss/kB", "kB or KiB?"),
        ("t_s", "Real (MB)", '--value-unit: column "Real (MB)": MB or MiB?'),
        ("t_s", "resident gigabytes", "GB or GiB?"),
    ],
)
def test_a_unit_that_nothing_shows_is_asked_for_with_its_flag(
    write: Write, time: str, value: str, message: str
) -> None:
    path = write(table([(t, y + 1) for t, y in FLAT], f"{time},{value}"))
    with pytest.raises(ConfigError) as caught:
        states(path, time=time, value=value)
    assert message in str(caught.value)
    assert states(path, time=time, value=value, time_unit="s", value_unit="B") == {"-": "PASS"}


@pytest.mark.parametrize(
    ("time", "scale"),
    [
        ("elapsedMs", 1e3), ("elapsed_ms", 1e3), ("elapsed (ms)", 1e3), ("time/ms", 1e3), ("timeMillis", 1e3),
        ("timestampNs", 1e9), ("t [us]", 1e6), ("time_min", 1 / 60), ("t (h)", 1 / 3600), ("uptimeSeconds", 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("value", "size"), [("rssBytes", 1), ("RSS [KiB]", 1024), ("rss/MiB", 2**20), ("RSSGiB", 2**30)]
)
def test_a_unit_in_a_name_is_taken(write: Write, time: str, scale: float, value: str, size: float) -> None:
    path = write(f"{time},{value}\n" + "".join(f"{t * scale!r},{y / size!r}\n" for t, y in LEAK))
    row = judge_file(path, TableColumns(time="1", value="2"), LIMIT)[0]
    assert row["growth_mb_per_h"] == pytest.approx(3.0, rel=1e-3)


def test_usual_columns_are_found_whatever_unit_is_in_their_name(write: Write) -> None:
    rows = "".join(f"{t * 1e3:.0f},{y / 1024!r}\n" for t, y in LEAK)
    assert states(write("elapsedMs,RSS (KiB)\n" + rows)) == {"-": "FAIL"}
    with pytest.raises(ConfigError, match=r"--value: which of rss_kib, rssMiB\?"):
        states(write("t_s,rss_kib,rssMiB\n0,1,2\n"))


@pytest.mark.parametrize("per_second", [1, 1e3, 1e6, 1e9])
def test_times_since_1970_are_told_by_their_size(write: Write, per_second: float) -> None:
    path = write("timestamp,rss_bytes\n" + "".join(f"{(1_790_000_000 + t) * per_second:.0f},{y}\n" for t, y in LEAK))
    assert judge_file(path, TableColumns(), LIMIT)[0]["growth_mb_per_h"] == pytest.approx(3.0, rel=1e-3)


def test_nanoseconds_of_uptime_are_not_taken_for_milliseconds_since_1970(write: Write) -> None:
    rows = "".join(f"{1.8e12 + t * 1e9:.0f},{y}\n" for t, y in LEAK[:30])
    with pytest.raises(ConfigError, match="--time-unit"):
        states(write("time,rss_bytes\n" + rows))


def test_resident_memory_in_whole_pages_is_in_bytes_and_nothing_else_is(write: Write) -> None:
    paged = [(t, y // 4096 * 4096) for t, y in LEAK]
    assert states(write(table(paged, "t_s,rss"))) == {"-": "FAIL"}
    for head, samples in (("t_s,memory", paged), ("t_s,rss", [(t, y // 1024) for t, y in LEAK])):
        with pytest.raises(ConfigError, match="--value-unit"):
            states(write(table(samples, head)), value="2")


def test_a_unit_that_its_name_says_and_that_cannot_be_right_is_an_error(write: Write) -> None:
    milliseconds = "".join(f"{1.9e12 + t * 1e3:.0f},{y}\n" for t, y in LEAK)
    with pytest.raises(ConfigError, match="are not s: give --time-unit"):
        states(write("time_s,rss_bytes\n" + milliseconds))


@pytest.mark.parametrize("name", ["rss_bytes", "residentBytes", "RSS [B]", "process_resident_memory_bytes"])
def test_bytes_may_be_named_in_several_ways(write: Write, name: str) -> None:
    assert states(write(table(FLAT, f"time_s,{name}")), value=name) == {"-": "PASS"}


def test_rows_of_several_processes_are_never_one_series_unless_it_is_said(write: Write) -> None:
    rows = "".join(f"{t + 30 * (i % 2)},{7 + i % 2},{y + i % 2 * 10**8}\n" for i, (t, y) in enumerate(LEAK))
    path = write("t_s,pid,rss_bytes\n" + rows)
    with pytest.raises(ConfigError, match='column "pid" has 2 values: give --group "pid" for as many series, or'):
        states(path)
    assert states(path, group="pid") == {"7": "FAIL", "8": "FAIL"}


def test_two_groups_that_are_interleaved_are_two_series(write: Write) -> None:
    rows = "".join(f"{t:g},a,{a}\n{t:g},b,{b}\n" for (t, a), (_, b) in zip(FLAT, LEAK, strict=True))
    path = write("t_s,pid,rss_bytes\n" + rows)
    assert states(path, group="pid") == {"a": "PASS", "b": "FAIL"}
    with pytest.raises(ConfigError, match="more than one series\\? give --group"):
        states(path)


ROWS = {
    "alike at first": [(t + 30 * turn, y) for two in zip(FLAT, LEAK, strict=True) for turn, (t, y) in enumerate(two)],
    "far apart": [
        (t + turn, y + turn * 10**8) for two in zip(FLAT, LEAK, strict=True) for turn, (t, y) in enumerate(two)
    ],
    "one of three": [
        (t + 20 * turn, y) for three in zip(FLAT, LEAK, FLAT, strict=True) for turn, (t, y) in enumerate(three)
    ],
    "files behind each other": [*FLAT, *((t + 0.4, y) for t, y in LEAK)],
    "another interval": sorted([*FLAT, *((42.0 * i + 1, 90_000_000 + 35_000 * i) for i in range(2057))]),
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_a_leak_among_rows_of_two_processes_that_nothing_tells_apart_never_passes(
    write: Write, rows: list[tuple[float, int]]
) -> None:
    assert states(write(table(rows)))["-"] != "PASS"


def test_it_is_said_which_rows_of_a_series_that_seems_flat_leak(write: Write) -> None:
    row = judge_file(write(table(ROWS["alike at first"])), TableColumns(), LIMIT)[0]
    assert row["verdict"] == "INCONCLUSIVE"
    assert row["reason"].endswith("alone grow beyond the limit: more than one series? give --group, or --segment")


def test_two_flat_processes_in_one_series_and_one_that_swings_between_two_levels_pass(write: Write) -> None:
    swing = [(t, y + 10**7 * (i % 2)) for i, (t, y) in enumerate(FLAT)]
    now_and_then = [(t, y + 10**7 * (i * i % 7 < 3)) for i, (t, y) in enumerate(FLAT)]
    assert states(write(table(swing))) == states(write(table(now_and_then))) == {"-": "PASS"}


def test_a_restart_is_not_growth(write: Write) -> None:
    rows = [(t, i // 720, y + (5_000_000 if i >= 720 else 0)) for i, (t, y) in enumerate(FLAT)]
    path = write("t_s,life,rss_bytes\n" + "".join(f"{t},{life},{y}\n" for t, life, y in rows))
    assert states(path, segment="life") == {"-": "PASS"}


@pytest.mark.parametrize(
    ("heap", "kind"), [(lambda t: 5e7, "fragmentation"), (lambda t: 5e7 + 3e6 * t / 3600, "leak"), (None, "growth")]
)
def test_a_live_heap_tells_a_leak_from_fragmentation(
    write: Write, heap: Callable[[float], float] | None, kind: str
) -> None:
    path = write("t_s,rss_bytes,heap\n" + "".join(f"{t},{y},{heap(t) if heap else 0}\n" for t, y in LEAK))
    row = judge_file(path, TableColumns(heap="heap" if heap else None), LIMIT)[0]
    assert (row["verdict"], row["class"]) == ("FAIL", kind)


def beside_a_ceiling(heap: Callable[[float], float], seed: int) -> str:
    """A day of resident memory that has warmed up to a ceiling, and of a heap in MB below it."""
    noise = random.Random(seed)
    rows = [
        (60 * i, 4096 * round((6e8 + 1.5e7 * (1 - math.exp(-i / 30))) / 4096 + noise.gauss(0, 5)), noise.gauss(0, 2e4))
        for i in range(1440)
    ]
    return "t_s,rss_bytes,heap\n" + "".join(f"{t},{y},{1e8 + 1e6 * heap(t / 3600) + e:.0f}\n" for t, y, e in rows)


@pytest.mark.parametrize("seed", range(4))
def test_a_heap_that_leaks_below_a_ceiling_of_resident_memory_fails(write: Write, seed: int) -> None:
    row = judge_file(write(beside_a_ceiling(lambda hours: 10 * hours, seed)), TableColumns(heap="heap"), LIMIT)[0]
    assert (row["verdict"], row["class"]) == ("FAIL", "leak")
    assert row["ci_low"] <= 10.0 <= row["ci_high"]
    assert row["reason"] == "the live heap grows, the rates are its own"


@pytest.mark.parametrize(
    "heap",
    [lambda hours: 0.0, lambda hours: 20 * (hours / 0.7 % 1), lambda hours: 30 * (1 - math.exp(-hours))],
    ids=["flat", "collected now and then", "warming up"],
)
def test_a_heap_that_does_not_leak_below_a_ceiling_of_resident_memory_passes(
    write: Write, heap: Callable[[float], float]
) -> None:
    row = judge_file(write(beside_a_ceiling(heap, 1)), TableColumns(heap="heap"), LIMIT)[0]
    assert (row["verdict"], row["class"]) == ("PASS", "flat")


def test_a_heap_that_nobody_can_judge_is_never_a_pass(write: Write) -> None:
    gone = "t_s,rss_bytes,heap\n" + "".join(f"{t:g},{y},{5e7 if t < 43200 else 0:.0f}\n" for t, y in FLAT)
    row = judge_file(write(gone), TableColumns(heap="heap"), LIMIT)[0]
    assert (row["verdict"], row["class"]) == ("INCONCLUSIVE", "undecided")
    assert row["reason"].startswith("the live heap: 720 of 1440 samples are 0")


@pytest.mark.parametrize("samples", [1, 2, 15])
def test_too_few_samples_are_inconclusive_and_it_is_said_why(write: Write, samples: int) -> None:
    row = judge_file(write(table(FLAT[:samples])), TableColumns(), LIMIT)[0]
    assert (row["verdict"], row["growth_mb_per_h"]) == ("INCONCLUSIVE", None)
    assert row["reason"] == f"{samples} samples, 16 needed"


def test_a_psrecord_log_is_read_with_names_that_have_spaces(write: Write) -> None:
    head = "# Elapsed time   CPU (%)     Real (MB)   Virtual (MB)\n"
    rows = "".join(f"{t:12.3f} {1.0:12.3f} {y / 2**20:12.3f} {900.0:12.3f}\n" for t, y in LEAK)
    for unit in ("MiB", None):
        row = judge_file(write(head + rows), TableColumns(value="Real (MB)", value_unit=unit), LIMIT)[0]
        assert row["growth_mb_per_h"] == pytest.approx(3.0, rel=1e-3)


def test_pidstat_output_is_read_below_its_first_line_with_its_headers_repeated(write: Write) -> None:
    head = "# Time        UID       PID  minflt/s  majflt/s     VSZ     RSS   %MEM  Command\n"
    rows = "".join(
        f"\n{head}{1.9e9 + t:11.0f}  0  {pid}  1.00  0.00  9999  {y // 1024}   0.10  a name\n"
        for (t, a), (_, b) in zip(FLAT, LEAK, strict=True)
        for pid, y in ((7, a), (8, b))
    )
    path = write("Linux 6.1 (host) \t01/31/30 \t_x86_64_\t(2 CPU)\n" + rows)
    assert states(path, skip=1, value="RSS", value_unit="KiB", group="PID") == {"7": "PASS", "8": "FAIL"}
    assert states(path, skip=1, group="PID") == {"7": "PASS", "8": "FAIL"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,limit\na,1\n", 'no column "limit_mb_per_h"; columns: id, limit'),
        ("id,limit_mb_per_h\na,0\n", "line 2: a limit must be above 0, got 0"),
        ("id,limit_mb_per_h\na,-1\n", "line 2: a limit must be above 0"),
        ("id,limit_mb_per_h\na,1\nb,none\n", 'line 3: "none" is not a number'),
        ("id,limit_mb_per_h\na,nan\n", "is not a finite number"),
        ("id,limit_mb_per_h\na,1e303\n", "line 2: a limit must be at most 1e+100, got 1e+303"),
        ("id,limit_mb_per_h\na,1\na,100\n", 'line 3: id "a" has another limit above: which of the two?'),
        ("", "is empty"),
    ],
)
def test_limits_that_cannot_be_read_are_errors(write: Write, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_limits(write(text))
    assert message in str(caught.value)


def test_every_series_has_its_own_limit_or_is_an_error(write: Write) -> None:
    limits = read_limits(write("id,limit_mb_per_h,note\n-,5,x\n-,5,the same again\n"))
    assert limits == {"-": 5e6}
    assert judge_file(write(table(LEAK)), TableColumns(), limits)[0]["verdict"] == "PASS"
    with pytest.raises(ConfigError, match='no limit for series "-"'):
        judge_file(write(table(LEAK)), TableColumns(), {"a": 1e6})


@pytest.mark.parametrize("there", [range(720), range(720, 1440)])
def test_a_process_that_was_not_there_for_half_of_the_time_never_passes(write: Write, there: range) -> None:
    cut = [(t, y if i in there else 0) for i, (t, y) in enumerate(LEAK)]
    assert states(write(table(cut))) != {"-": "PASS"}
    flat = [(t, y if i in there else 0) for i, (t, y) in enumerate(FLAT)]
    row = judge_file(write(table(flat)), TableColumns(), LIMIT)[0]
    assert row["verdict"] != "PASS"


def test_a_process_that_restarts_all_the_time_does_not_pass_for_one_life_that_was_long_enough(write: Write) -> None:
    """It leaks 50 MB/h in lives of an hour, which are too short for a rate, after four hours that were flat."""
    begun_s = 4 * 3600.0
    rows = [(t, y, 0 if t < begun_s else 1 + int((t - begun_s) // 3600)) for t, y in FLAT]
    loop = [(t, y + int(50e6 * ((t - begun_s) % 3600.0) / 3600.0) * (life > 0), life) for t, y, life in rows]
    text = "t_s,rss_bytes,pid\n" + "".join(f"{t:g},{y},{life}\n" for t, y, life in loop)
    row = judge_file(write(text), TableColumns(segment="pid"), LIMIT)[0]
    assert row["verdict"] == "INCONCLUSIVE"
    assert row["reason"].startswith(
        "lives too short to judge alone make up 83% of the time and may grow by 100.0 times"
    )


def test_a_few_samples_of_zero_hide_nothing(write: Write) -> None:
    assert states(write(table([(t, 0 if i % 200 == 7 else y) for i, (t, y) in enumerate(FLAT)]))) == {"-": "PASS"}


def test_a_usual_name_that_stands_twice_is_not_guessed(write: Write) -> None:
    path = write("t_s,rss_bytes,RSS_bytes\n" + "".join(f"{t:g},{y},{2 * y}\n" for t, y in FLAT))
    with pytest.raises(ConfigError, match='--value: 2 columns are named "rss_bytes": give its number'):
        judge_file(path, TableColumns(), LIMIT)
    assert states(path, value="3") == {"-": "PASS"}
