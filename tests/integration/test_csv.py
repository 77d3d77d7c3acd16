"""`soakd judge --csv` as a user runs it."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CORPUS = Path(os.environ.get("SOAKD_CORPUS", ROOT.parent / "shared" / "corpus" / "growth"))

pytestmark = pytest.mark.integration


def judge(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "soakd", "judge", "--csv", str(path), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def series(path: Path, *rates: float, samples: int = 500) -> Path:
    """One group a rate in MB/h, over a day."""
    step_s = 86400 / samples
    with path.open("w", encoding="utf-8") as file:
        file.write("pid,t_s,rss_bytes\n")
        for i in range(samples):
            for pid, rate in enumerate(rates):
                file.write(f"{pid},{i * step_s},{100e6 + 4096 * (i % 5) + rate * 1e6 * i * step_s / 3600:.0f}\n")
    return path


@pytest.mark.parametrize(("rates", "code"), [((0.0, 0.1), 0), ((0.0, 3.0), 1), ((0.0, 1.0), 3), ((1.0, 3.0), 1)])
def test_the_exit_code_is_the_worst_verdict(tmp_path: Path, rates: tuple[float, ...], code: int) -> None:
    done = judge(series(tmp_path / "a.csv", *rates), "--group", "pid")
    assert done.returncode == code
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == ["id", "verdict", "growth_mb_per_h", "ci_low", "ci_high", "mdr_mb_per_h", "class"]
    assert [row["id"] for row in rows] == ["0", "1"]


def test_why_a_series_is_left_open_is_said_beside_the_table(tmp_path: Path) -> None:
    done = judge(series(tmp_path / "a.csv", 0.0, samples=1))
    assert (done.returncode, done.stdout.splitlines()[1]) == (3, "-,INCONCLUSIVE,,,,,undecided")
    assert done.stderr == "soakd: -: 1 samples, 16 needed\n"


@pytest.mark.parametrize(
    "options",
    [
        ("--value", "heap"),
        ("--limit", "1MB"),
        ("--limit", "0MB/h"),
        ("--limit", "1MB/h", "--limits", "limits.csv"),
        ("--limits", "limits.csv"),
        ("--time-unit", "iso"),
        ("--skip", "1"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_2(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = judge(series(tmp_path / "a.csv", 0.0), *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("soakd: ")
    assert done.stderr.count("\n") == 1


def test_a_unit_that_is_not_known_is_a_usage_error(tmp_path: Path) -> None:
    done = judge(series(tmp_path / "a.csv", 0.0), "--value-unit", "MBit")
    assert (done.returncode, done.stdout) == (2, "")
    assert "invalid choice: 'MBit'" in done.stderr


def test_many_series_are_judged_in_processes_and_stay_in_order(tmp_path: Path) -> None:
    done = judge(series(tmp_path / "a.csv", *[0.0, 5.0] * 5), "--group", "pid")
    assert [row["verdict"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["PASS", "FAIL"] * 5


def test_half_a_million_rows_are_judged_at_once(tmp_path: Path) -> None:
    done = judge(series(tmp_path / "a.csv", 0.0, samples=500_000))
    assert done.stdout.splitlines()[1].startswith("-,PASS,")


def test_a_pipe_is_as_good_as_a_file(tmp_path: Path) -> None:
    text = series(tmp_path / "a.csv", 3.0).read_text(encoding="utf-8")
    command = [sys.executable, "-m", "soakd", "judge", "--csv", "/dev/stdin"]
    done = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1


@pytest.mark.skipif(not (CORPUS / "score.py").exists(), reason=f"no growth corpus in {CORPUS}; set SOAKD_CORPUS")
def test_the_corpus_in_one_call_reaches_its_marks(tmp_path: Path) -> None:
    columns = ("--time", "t_s", "--value", "rss_bytes", "--segment", "segment", "--group", "id")
    done = judge(CORPUS / "traces.csv.gz", *columns, "--limits", str(CORPUS / "inputs.csv"))
    assert done.returncode == 1
    verdicts = tmp_path / "verdicts.csv"
    verdicts.write_text(done.stdout, encoding="utf-8")
    command = [sys.executable, str(CORPUS / "score.py"), str(verdicts), str(CORPUS / "manifest.csv")]
    score = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    summary = score[score.index("SUMMARY") :]
    words = {part.strip().split("%")[0].rpartition(" ")[0]: part for part in summary.split("|")}
    number = {name: float(part.split("%")[0].rpartition(" ")[2]) for name, part in words.items() if "%" in part}
    assert "missing=0" in summary
    assert (number["false FAIL"], number["false PASS"]) == (0.0, 0.0)
    assert number["inconclusive"] <= 6.0
    assert number["CI coverage"] >= 95.0
