"""A real soak, with sampling at the default cadence and with next to none: throughput, and the daemon's footprint.

The subject runs at a rate it cannot reach: what it completes is its throughput. Pairs are interleaved: the machine
drifts, ratios within a pair drift less.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from soakd.record.journal import read_records

TITLE = "a real soak: throughput with sampling on and off (saturated no-op), and the daemon itself"
PAIRS = 3
CONFIG = """
[run]
duration = "{duration}"
sample_every = "{sample}"
collect_every = "{collect}"
snapshot_every = "off"
controls_off = ["null", "leak"]
[[engine]]
name = "saturated"
kind = "control.null"
role = "subject"
rate = 3_000_000
"""


def rows() -> Iterator[tuple[str, float, str, str]]:
    """Give (what, value, unit, remark)."""
    ratios = []
    for _ in range(PAIRS):
        every, _ = _soak("20s", "250ms", "1s")  # forty times the default cadence of 10 s and 1 min
        least, _ = _soak("20s", "330ms", "off")
        ratios.append(1.0 - every / least)
    lost = statistics.median(ratios)
    yield (
        "throughput lost at 40-60x the default cadence",
        lost * 100,
        "%",
        f"pairs: {', '.join(f'{r:+.2%}' for r in ratios)}",
    )
    yield "so at the default cadence at most about", max(0.0, lost) / 40 * 100, "%", "budget < 0.5 %"
    _, own = _soak("40s", "500ms", "1s")
    yield "daemon: resident memory", own["rss_bytes"] / 1e6, "MB", "budget < 60 MB"
    yield (
        "daemon: processor",
        own["cpu_ratio"] * 100,
        "% of a core",
        "budget < 1 % at 10 s samples; this is 20x that cadence",
    )


Beside = Callable[[str, threading.Event], None]
"""What goes on beside a soak: called with the address of its page, until the event is set."""


def throughput(duration: str, sample: str, collect: str, beside: Beside | None = None) -> float:
    """Return operations a second in the load phase."""
    return _soak(duration, sample, collect, beside)[0]


def _soak(duration: str, sample: str, collect: str, beside: Beside | None = None) -> tuple[float, dict[str, Any]]:
    """Return operations a second in the load phase, and the daemon's own figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "soak.toml"
        path.write_text(CONFIG.format(duration=duration, sample=sample, collect=collect), encoding="utf-8")
        out = ["--run-dir", f"{folder}/out", "--log-level", "error"]
        soak = subprocess.Popen(
            [sys.executable, "-m", "soakd", "run", str(path), *out],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        with _going_on(soak, Path(folder) / "out" / "address", beside):
            soak.wait(300)
        verdict = json.loads((Path(folder) / "out" / "verdict.json").read_text(encoding="utf-8"))
        checks = {check["id"]: check for check in verdict["engines"][0]["checks"]}
        own = [r for r in read_records(Path(folder) / "out" / "run.db", "sample") if not r.engine]
    first, last = own[len(own) // 4], own[-1]
    cpu = (last.body["cpu_s_total"] - first.body["cpu_s_total"]) / (last.at.mono_s - first.at.mono_s)
    return checks["rate.achieved"]["achieved_per_second"], {"rss_bytes": last.body["rss_bytes"], "cpu_ratio": cpu}


@contextlib.contextmanager
def _going_on(soak: subprocess.Popen[bytes], address: Path, beside: Beside | None) -> Iterator[None]:
    """Let something go on beside a soak, from when it has a page."""
    if beside is None:
        yield
        return
    while soak.poll() is None and not address.exists():
        time.sleep(0.05)
    over = threading.Event()
    thread = threading.Thread(target=beside, args=(address.read_text(encoding="utf-8").strip(), over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
