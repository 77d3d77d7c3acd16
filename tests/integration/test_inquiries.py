"""What may be asked of a run while it goes on, and afterwards: in real processes."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from soakd.errors import JournalError
from soakd.record import journal

pytestmark = pytest.mark.integration

CONFIG = """
[run]
name = "asked"
duration = "8min"
sample_every = "500ms"
snapshot_every = "5s"
controls_off = ["leak", "null"]
waivers = "waivers.toml"
[limits]
growth_per_operation = "64B"
[attribution]
enabled = false
[[engine]]
name = "shop"
kind = "python"
factory = "shop:make"
path = ["."]
rate = 5000
"""
SHOP = """
SEEN = []

def make():
    def operation(op):
        SEEN.append(b"x" * 100 + op.key.encode())
    return operation
"""
FINGERPRINT = "46257f5dccc24aab"
"""Of what the shop keeps, wherever its folder is and on whichever line."""
WAIVERS = f"""
[[waiver]]
engine = "shop"
check = "growth.rss_anon_bytes"
at_most = "10GB/h"
package = "aiohttp"
versions = ">=3"
reason = "it keeps what it sees"
expires = 2099-12-31
[[waiver]]
fingerprint = "{FINGERPRINT}"
reason = "mended in the next release"
expires = 2099-12-31
"""
WITHIN_S = 240.0


def soakd(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "soakd", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=WITHIN_S)


def snapshot(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask until one is taken: on a busy host it gives way to a reading now and then."""
    give_up_s = time.monotonic() + WITHIN_S
    while "gave way" in (done := soakd(folder, "snapshot", *arguments)).stderr:
        assert time.monotonic() < give_up_s
    return done


def read(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    try:
        return [dict(record.body) for record in journal.read_records(folder / "run" / "run.db", *kinds)]
    except JournalError:
        return []


def wait_for(folder: Path, *kinds: str, count: int = 1) -> list[dict[str, Any]]:
    give_up_s = time.monotonic() + WITHIN_S
    while len(found := read(folder, *kinds)) < count:
        assert time.monotonic() < give_up_s, (folder / "log").read_text()
        time.sleep(0.2)
    return found


def wait_for_load(folder: Path) -> None:
    give_up_s = time.monotonic() + WITHIN_S
    while not any(body["name"] == "load" for body in read(folder, "phase")):
        assert time.monotonic() < give_up_s
        time.sleep(0.2)


@contextlib.contextmanager
def run_of(folder: Path, config: str) -> Iterator[Path]:
    """Let a run go on in a folder of its own."""
    for name, text in (("soak.toml", config), ("shop.py", SHOP), ("waivers.toml", WAIVERS)):
        (folder / name).write_text(text)
    with open(folder / "log", "wb") as log:
        daemon = psutil.Popen(
            [sys.executable, "-m", "soakd", "run", "soak.toml", "--run-dir", "run"],
            cwd=folder, stdout=log, stderr=log, env=os.environ,
        )  # fmt: skip
    try:
        wait_for(folder, "snapshot")
        yield folder
    finally:
        daemon.terminate()
        daemon.wait(WITHIN_S)


@pytest.fixture(scope="module")
def going(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with run_of(tmp_path_factory.mktemp("asked"), CONFIG) as folder:
        yield folder


def test_a_snapshot_of_a_run_that_goes_on_is_taken_and_stands_in_its_journal(going: Path) -> None:
    done = snapshot(going, "run", "--json")
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)["engines"]
    assert answer["engine"] == "shop"
    assert any(row["type"] == "list" for row in answer["snapshot"]["types"])
    asked = [body for body in read(going, "snapshot") if body.get("asked") == answer["snapshot"]["asked"]]
    assert len(asked) == 1


def test_the_pid_of_a_worker_finds_its_run_and_its_engine(going: Path) -> None:
    (hello,) = wait_for(going, "hello")
    done = snapshot(going, str(hello["pid"]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("shop: ")
    assert "container" in done.stdout


def test_a_look_on_demand_has_its_turn_and_leaves_the_judgement_alone(going: Path) -> None:
    wait_for_load(going)
    command = [sys.executable, "-m", "soakd", "snapshot", "run", "--deep", "--json"]
    with subprocess.Popen(command, cwd=going, stdout=subprocess.PIPE, text=True) as asking:
        wait_for(going, "attribution")
        second = soakd(going, "snapshot", "run", "--deep")
        told, _ = asking.communicate(timeout=WITHIN_S)
    assert second.returncode != 0
    assert "another look is under way: one at a time on a host" in second.stderr
    assert asking.returncode == 0
    (answer,) = json.loads(told)["engines"]
    look = answer["look"]
    assert look["light"] is True
    assert "`shop.SEEN`" in look["sites"][0]["site"]
    looked = wait_for(going, "attribution", count=2)
    assert [body["state"] for body in looked] == ["begun", "done"]


def test_without_the_token_nothing_is_taken_and_an_engine_that_is_not_there_is_said(going: Path) -> None:
    address = (going / "run" / "address").read_text().strip().rstrip("/")
    request = urllib.request.Request(f"{address}/api/v1/engines/shop/snapshot", data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=WITHIN_S)
    assert refused.value.code == 401
    refused.value.close()
    done = soakd(going, "snapshot", "run", "--engine", "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert 'no engine "nobody"; engines: shop' in done.stderr


def test_the_journal_has_the_packages_of_the_engine_and_the_waivers(going: Path) -> None:
    give_up_s = time.monotonic() + WITHIN_S
    while not (told := [body for body in read(going, "phase") if body.get("name") == "packages"]):
        assert time.monotonic() < give_up_s
        time.sleep(0.2)
    (environment,) = told[0]["environments"]
    assert environment["engines"] == ["shop"]
    assert "aiohttp" in environment["packages"]
    waiver, _ = journal.read_meta(going / "run" / "run.db")["plan"]["config"]["waivers"]
    assert (waiver["at_most"], waiver["at_most_unit"]) == (pytest.approx(1e10), "bytes/hour")


def test_a_look_on_demand_is_left_out_of_the_rate_and_what_it_names_is_known(going: Path) -> None:
    look = next(body for body in read(going, "attribution") if body["state"] == "done")
    give_up_s = time.monotonic() + WITHIN_S
    while True:
        verdict = json.loads(soakd(going, "judge", "run", "--live", "--json").stdout)
        left_out = [entry for entry in verdict["exclusions"] if entry["what"] == "rate"]
        known = verdict["waivers"][1]
        if left_out and known["state"] == "used":
            break
        assert time.monotonic() < give_up_s, known  # once the load phase is twice as long as the look
    assert left_out[0]["seconds"] == pytest.approx(look["until_mono_s"] - look["from_mono_s"], abs=0.01)
    assert known["fingerprint"] == FINGERPRINT
    (engine,) = verdict["engines"]
    assert [(site["fingerprint"], site["known"]) for site in engine["attribution"]] == [(FINGERPRINT, FINGERPRINT)]
    covered = {each["check"] for each in known["covers"]}
    assert covered
    assert covered <= {check["id"] for check in engine["checks"] if "waived" in check}


UNFORKED = """
[[engine]]
name = "a-still-one"
kind = "cache.native"
rate = 100
collect_every = "off"
options = { capacity = 10 }
"""


def test_an_engine_that_refuses_leaves_the_others_their_snapshots(tmp_path: Path) -> None:
    shop = CONFIG.index("[[engine]]")
    with run_of(tmp_path, CONFIG[:shop] + UNFORKED + CONFIG[shop:]) as folder:
        done = snapshot(folder, "run")
        told = snapshot(folder, "run", "--json")
    assert (done.returncode, told.returncode) == (2, 2)
    assert done.stdout.startswith("shop: ")
    assert (
        done.stderr
        == "soakd: run: a-still-one: no snapshots are taken of it (run.snapshot_every, or collect_every = off)\n"
    )
    answer = json.loads(told.stdout)
    assert [one["engine"] for one in answer["engines"]] == ["shop"]
    assert [one["engine"] for one in answer["refused"]] == ["a-still-one"]
