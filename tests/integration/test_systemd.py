"""The units under a real systemd, booted for the tests: see tests/booted.py. About two and a half minutes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.booted import ROOT, SOURCE, Machine, machine_for_soakd, wait_for, why_not

pytestmark = [pytest.mark.integration, pytest.mark.slow]

UNIT = "soakd@short"
RUNS = "/var/lib/private/soakd/short"
CONFIG = """
[run]
name = "short"
duration = "{duration}"
sample_every = "500ms"
collect_every = "1s"
snapshot_every = "off"
[limits]
growth_per_operation = "64B"
[supervision]
start_within = "2min"
[[engine]]
name = "cache"
kind = "cache.native"
rate = 500
options = {{ capacity = 100 }}
"""
DROP_IN = f"""
[Unit]
StartLimitBurst=20
[Service]
# the package that is tested, not an installed one
Environment=PYTHONPATH={SOURCE}/tests/frozen:{SOURCE}
WatchdogSec=6s
RestartSec=500ms
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    machine = machine_for_soakd(tmp_path_factory.mktemp("machine"))
    machine.write("/etc/soakd/short.toml", CONFIG.format(duration="80s"))
    machine.write("/etc/systemd/system/soakd@.service.d/tested.conf", DROP_IN)
    return machine


@pytest.fixture(scope="module")
def booted(machine: Machine) -> Iterator[Machine]:
    with machine.booted():
        soakd(machine, "install-units")
        machine.run("systemctl", "daemon-reload")
        yield machine


def soakd(machine: Machine, *arguments: str, check: bool = True) -> str:
    python = Path(sys.prefix).resolve() / "bin" / "python"
    return machine.run("env", f"PYTHONPATH={SOURCE}", str(python), "-m", "soakd", *arguments, check=check)


def runs(machine: Machine) -> list[str]:
    return machine.run("ls", RUNS, check=False).split()


def verdict(machine: Machine) -> dict[str, object]:
    found: dict[str, object] = json.loads(machine.run("cat", f"{RUNS}/{runs(machine)[-1]}/verdict.json"))
    return found


def main_pid(machine: Machine) -> int:
    return int(machine.show(UNIT, "MainPID")["MainPID"])


def state(machine: Machine) -> str:
    return machine.show(UNIT, "ActiveState")["ActiveState"]


def wait_for_another(machine: Machine, pid: int, restarts: int) -> None:
    def restarted() -> bool:
        shown = machine.show(UNIT, "NRestarts", "MainPID", "ActiveState")
        return int(shown["NRestarts"]) >= restarts and int(shown["MainPID"]) not in (0, pid)

    wait_for(restarted, 90, "another daemon")
    wait_for(lambda: state(machine) == "active", 90, "a daemon whose engines are under load")


def test_the_unit_verifies_and_is_exposed_to_little(booted: Machine) -> None:
    assert (
        booted.run(
            "systemd-analyze",
            "verify",
            "--man=no",
            f"{UNIT}.service",
            "soakd-release.timer",
            "soakd-shutdown@short.service",
        )
        == ""
    )
    unit = "/etc/systemd/system/soakd@.service"
    said = booted.run("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit)
    assert float(said.rpartition("exposure level for")[2].split(":")[1].split()[0]) <= 1.5


def test_a_run_outlives_a_kill_a_frozen_loop_and_a_reload_and_its_verdict_is_complete(booted: Machine) -> None:
    booted.run("systemctl", "start", UNIT)  # returns when the unit says READY
    shown = booted.show(UNIT, "ActiveState", "StatusText", "WatchdogUSec", "Result")
    assert (shown["ActiveState"], shown["WatchdogUSec"]) == ("active", "6s")
    # told once it is committed, up to a second after it happened
    wait_for(lambda: bool(booted.journal("SOAKD_PHASE=load", "-o", "cat")), 10, "the load phase in the journal")
    assert " of 1min 20s" in shown["StatusText"]

    first = main_pid(booted)
    booted.run("kill", "-KILL", str(first))
    wait_for_another(booted, first, 1)

    second = main_pid(booted)
    booted.run("kill", "-USR1", str(second))  # tests/frozen: the event loop's thread sleeps from now on
    wait_for_another(booted, second, 2)
    stack = booted.journal("-u", UNIT, f"_PID={second}", "-o", "cat")
    assert "Fatal Python error: Aborted" in stack
    assert "in freeze" in stack
    assert "base_events.py" in stack
    assert "Watchdog timeout" in booted.journal("-u", UNIT, "-o", "cat")

    third = main_pid(booted)
    booted.run("systemctl", "kill", "--kill-whom=main", "--signal=HUP", UNIT)
    wait_for_another(booted, third, 3)
    assert booted.journal("SOAKD_EVENT=left", "SOAKD_REASON=SIGHUP", "-o", "cat")

    wait_for(lambda: state(booted) in ("inactive", "failed"), 120, "the end of the run")
    assert booted.show(UNIT, "Result", "ActiveState") == {"Result": "success", "ActiveState": "inactive"}
    assert len(runs(booted)) == 1, "a new run began"
    found = verdict(booted)
    assert found["verdict"] != "INCOMPLETE"
    incidents = [i["what"] for i in found["incidents"]]  # type: ignore[attr-defined]
    assert incidents.count("daemon_gap") == 3
    engine = found["engines"][0]  # type: ignore[index]
    assert [life["segment"] for life in engine["segments"]] == [0, 1, 2, 3]
    assert [life["ended_by"] for life in engine["segments"]] == ["daemon_gap"] * 3 + ["completed"]
    assert booted.run("pgrep", "-f", "soakd.worker", check=False) == ""


def test_entries_of_the_journal_have_fields(booted: Machine) -> None:
    entries = [json.loads(line) for line in booted.journal("SOAKD_WHAT=daemon_gap", "-o", "json").splitlines()]
    assert len(entries) == 3
    assert all(entry["PRIORITY"] == "4" and entry["_SYSTEMD_UNIT"] == f"{UNIT}.service" for entry in entries)
    assert all("soakd" in entry["MESSAGE"] and "longest_gap" in entry["MESSAGE"] for entry in entries)


def test_a_stop_is_in_order_and_seals_the_run(booted: Machine) -> None:
    before = runs(booted)
    booted.run("systemctl", "start", UNIT)
    assert len(runs(booted)) == len(before) + 1
    booted.run("systemctl", "stop", UNIT)
    assert booted.show(UNIT, "Result", "ActiveState") == {"Result": "success", "ActiveState": "inactive"}
    assert verdict(booted)["run"]["ended_by"] == "interrupted"  # type: ignore[index]


def test_a_wrong_configuration_is_not_tried_again(booted: Machine) -> None:
    booted.write("/etc/soakd/wrong.toml", "[run]\nduration = 3\n")
    booted.run("systemctl", "start", "soakd@wrong", check=False)
    shown = booted.show("soakd@wrong", "Result", "ExecMainStatus", "NRestarts")
    assert shown == {"Result": "exit-code", "ExecMainStatus": "2", "NRestarts": "0"}
    assert "duration" in booted.journal("-u", "soakd@wrong", "-o", "cat")


def test_a_run_outlives_a_reboot(machine: Machine, booted: Machine) -> None:
    again = Machine(machine.base, machine.binds)  # its own name for it: `booted` still holds the first boot
    before = runs(booted)  # the stopped one is among them: what is started now is another one
    booted.run("systemctl", "start", UNIT)
    booted.run("systemctl", "enable", UNIT)
    booted.power_off()
    with again.booted():
        wait_for(lambda: state(again) == "active", 90, "the resumed run")
        assert len(runs(again)) == len(before) + 1
        told = again.journal("-u", UNIT, "SOAKD_WHAT=daemon_gap", "-o", "cat")
        assert "the host goes down" in told
        again.run("systemctl", "stop", UNIT)
        engine = verdict(again)["engines"][0]  # type: ignore[index]
        assert [life["segment"] for life in engine["segments"]] == [0, 1]


def test_the_shipped_units_are_judged_without_a_boot() -> None:
    unit = str(ROOT / "soakd/systemd/soakd@.service")
    try:
        analysed = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", unit],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not here")
    assert analysed.returncode == 0, analysed.stdout + analysed.stderr
