"""Findings before a run: they promise nothing that the judge takes back, and start nothing."""

import dataclasses
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from soakd.daemon.preflight import Finding, check_environments, check_factories, outlook
from soakd.daemon.preflight.filling import MOST_KEYS, OPERATIONS_AN_ENTRY
from soakd.daemon.preflight.outlook import sure_of
from soakd.setup import config
from soakd.setup.plan import Plan, make_plan, worker_spec
from soakd.verdict.resolution import LEAST_HOURS, LEAST_OPERATIONS, too_few, too_short
from soakd.worker.load import build_tape

ROOT = Path(__file__).parents[3]


def plan_of(run: str, limits: str = "", engine: str = "", more: str = "", every: str = "1s") -> Plan:
    text = (
        f'[run]\nsample_every = "{every}"\n{run}\n[limits]\n{limits}\n'
        f'[[engine]]\nname = "mine"\nkind = "python"\nfactory = "shop:make"\n{engine or "rate = 100"}\n{more}'
    )
    return make_plan(config.parse(text, source="soak.toml", folder=Path.cwd()))


def told(plan: Plan) -> list[tuple[str, str]]:
    return [(finding.level, finding.text) for finding in outlook(plan)]


@pytest.mark.parametrize("seconds", [100, 149, 150, 160, 1000])
@pytest.mark.parametrize("cadence_s", [1.0, 3.0, 10.0])
def test_readings_that_come_as_late_and_end_as_early_as_they_may_span_what_is_promised(
    seconds: int, cadence_s: float
) -> None:
    plan = plan_of(f'duration = "{seconds}s"\ncollect_every = "{cadence_s:g}s"', 'growth_per_operation = "16B"')
    mine = plan.engines[0]
    collect_s = mine.collect_every_s
    assert collect_s is not None
    # A child is forked at the first sample after it is due.
    latest_s = mine.load.start_s + collect_s + mine.sample_every_s
    earliest_end_s = mine.load.end_s - collect_s - mine.sample_every_s
    done = 0.99 * mine.rate_per_s * (earliest_end_s - latest_s)
    assert done >= sure_of(plan, mine).operations
    promised = any(level == "note" for level, text in told(plan) if text.startswith("mine: a leak of 16 B"))
    if promised:
        assert not too_few(done)
    else:
        assert sure_of(plan, mine).operations < LEAST_OPERATIONS


def test_a_run_that_just_fits_by_its_rate_alone_is_not_promised_to_pass() -> None:
    (mine, *_) = told(plan_of('duration = "135s"', 'growth_per_operation = "16B"'))  # 10,125 operations of load
    assert mine[0] == "warning"
    assert mine[1].startswith(
        "mine: growth_per_operation = 16 B may not pass in this length: it takes 10,000 operations; "
    )
    assert mine[1].endswith('1min 41s of load at 100/s: set duration = "3min" or more, or set its rate to 109 or more')


def test_a_limit_per_hour_in_a_short_run_is_reported_with_what_to_set_instead() -> None:
    text = dict(reversed(told(plan_of('duration = "5min"', 'growth_rate = "1MB/h"'))))["warning"]
    assert text.startswith("mine, control-null, control-leak: growth_rate = 1.00 MB/h cannot pass in this length: ")
    assert text.endswith('set duration = "3h" or more, or limit growth_per_operation = "16B" in place of growth_rate')


@pytest.mark.parametrize(
    ("run", "limits"),
    [
        ('duration = "5min"', 'growth_rate = "1MB/h"'),
        ('duration = "1min"', 'growth_per_operation = "16B"'),
        ('duration = "1min"', 'growth_per_operation = "1B"'),
        ("operations = 10_000", 'growth_per_operation = "16B"'),
        ("operations = 20_000", 'growth_rate = "1MB/h"'),
        ('duration = "150min"', 'growth_rate = "20kB/h"'),
    ],
)
def test_a_length_that_is_suggested_is_long_enough(run: str, limits: str) -> None:
    every = "100ms" if "operations" in run else "1s"
    found = next(text for level, text in told(plan_of(run, limits, every=every)) if level == "warning")
    suggested = found.partition(": set ")[2].partition(" or more")[0]
    assert suggested.startswith(("duration = ", "operations = "))
    after = told(plan_of(suggested, limits, every=every))
    assert [text for level, text in after if level == "warning" and text.startswith("mine")] == []


def test_faults_take_their_time_and_that_of_their_recovery_from_the_load() -> None:
    fault = '[[fault]]\nkind = "kill"\ntarget = "mine"\nevery = "10s"\n'
    plan = plan_of('duration = "170min"', 'growth_rate = "1MB/h"', more=fault)
    sure = sure_of(plan, plan.engines[0])
    assert plan.engines[0].load.duration_s / 3600 > LEAST_HOURS
    assert too_short(1e6, sure.seconds / 3600)
    assert told(plan)[0][1].startswith("mine: growth_rate = 1.00 MB/h may not pass in this length")


def test_a_control_that_cannot_be_judged_is_reported() -> None:
    plan = plan_of('duration = "12s"', 'growth_per_operation = "16B"', "rate = 2000", every="200ms")
    assert [text.partition(":")[0] for level, text in told(plan) if level == "warning"] == [
        "control-null, control-leak"
    ]


CACHE = 'rate = 375\n[[engine]]\nname = "cache"\nkind = "cache.native"\nrate = {rate}\n{more}'


@pytest.mark.parametrize(
    ("rate", "more", "is_told"),
    [
        (375, "", True),  # seen: INCONCLUSIVE, 4,239 of 10,000 entries
        (375, "options = { capacity = 3_000 }", False),
        (2000, "", False),
        (375, 'limits = { growth_per_operation = "300B" }', False),
        (2000, "options = { capacity = 50_000 }", True),
        (2000, 'options = { capacity = 50_000 }\nmix = "cache-miss"', False),
    ],
)
def test_a_cache_that_is_not_full_when_the_load_ends_is_reported(rate: int, more: str, is_told: bool) -> None:
    plan = plan_of(
        'duration = "40s"', 'growth_per_operation = "64B"', CACHE.format(rate=rate, more=more), every="500ms"
    )
    assert any("is not full when the load ends" in text for _, text in told(plan)) == is_told


@pytest.mark.parametrize("mix", OPERATIONS_AN_ENTRY)
def test_a_tape_fills_a_cache_in_as_many_operations_as_preflight_says(mix: str) -> None:
    plan = plan_of('duration = "10min"', engine=f'rate = 1\nmix = "{mix}"')
    tape = build_tape(worker_spec(plan, plan.engines[0], 0, ()))
    keys = {op.key for op in itertools.islice(tape.stream, int(10_000 * OPERATIONS_AN_ENTRY[mix]))}
    assert 10_000 <= len(keys) < 10_000 * 1.1
    keys |= {op.key for op in itertools.islice(tape.stream, 65_536)}
    assert len(keys) > MOST_KEYS


def environment(folder: Path, version: str, *, packages: tuple[str, ...] = ()) -> Path:
    """Make an environment that is only looked at: its interpreter would fail if it were started."""
    (folder / "bin").mkdir(parents=True)
    python = folder / "bin" / "python"
    python.write_text("#!/bin/false\n", encoding="utf-8")
    python.chmod(0o755)
    (folder / "pyvenv.cfg").write_text(f"home = /nowhere/bin\nversion = {version}\n", encoding="utf-8")
    for package in packages:
        made = folder / "lib" / "python3.12" / "site-packages" / package
        made.mkdir(parents=True)
        (made / "__init__.py").touch()
    return python


def looked_at(python: Path | str) -> list[Finding]:
    return list(check_environments(plan_of('duration = "10min"', engine=f'rate = 100\npython = "{python}"')))


def test_an_environment_without_memray_is_reported_with_the_command_that_installs_it(tmp_path: Path) -> None:
    python = environment(tmp_path / "without", "3.12.1")
    (found,) = looked_at(python)
    assert found.level == "warning"
    assert found.text.startswith(f"mine: memray is not in the environment of {python}: ")
    assert found.text.endswith(f"{python} -m pip install memray")
    assert looked_at(environment(tmp_path / "with", "3.12.1", packages=("memray",))) == []


def test_an_interpreter_that_is_missing_or_too_old_is_found_without_starting_it(tmp_path: Path) -> None:
    old, folder = environment(tmp_path / "old", "3.9.2"), tmp_path / "a"
    folder.mkdir()
    for python, why in (
        (old, f"{old}: is CPython 3.9.2; 3.11 or later is needed"),
        ("no-such-python", "no-such-python: no such program on PATH"),
        (folder, f"{folder}: is a folder"),
        (tmp_path / "none", f"{tmp_path}/none: No such file or directory"),
    ):
        assert looked_at(python) == [Finding("error", f'engine "mine": python: {why}')]


def test_a_factory_whose_module_is_nowhere_is_found_without_importing_anything(tmp_path: Path) -> None:
    (tmp_path / "imports_badly.py").write_text("raise SystemExit(7)\n", encoding="utf-8")
    plan = plan_of('duration = "10min"', engine=f'rate = 1\npath = ["{tmp_path}"]')
    (mine,) = (finding for finding in check_factories(plan))
    assert mine.text.startswith('engine "mine": factory "shop:make": no module "shop" in its path or this environment')
    for factory in (
        "imports_badly:make",
        "json.decoder:JSONDecoder",
        "soakd.worker.engines.control_null:NullControl",
        "sys:exit",
    ):
        engines = tuple(
            dataclasses.replace(e, config=dataclasses.replace(e.config, factory=factory)) for e in plan.engines[:1]
        )
        assert list(check_factories(dataclasses.replace(plan, engines=engines))) == []


def test_a_worker_that_is_judged_carries_nothing_of_a_trial() -> None:
    program = "import soakd.worker.__main__, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"soakd.worker.trial", "difflib", "soakd.daemon.preflight"} & set(done.stdout.split())


WATCHED = """
import json, sys
started = []
starts = ("subprocess.", "os.fork", "os.exec", "os.posix_spawn", "os.system")
sys.addaudithook(lambda name, _: started.append(name) if name.startswith(starts) else None)
from soakd.cli.main import main
code = main(sys.argv[1:])
print(json.dumps({"code": code, "started": started, "modules": sorted(name.partition(".")[0] for name in sys.modules)}))
"""


def test_a_plain_check_starts_nothing_and_imports_no_more_than_it_needs() -> None:
    command = [sys.executable, "-c", WATCHED, "check", "configs/quick.toml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    *_, ready, last = done.stdout.splitlines()
    assert (ready, done.stderr) == ("configs/quick.toml: ready to run", "")
    seen = json.loads(last)
    assert (seen["code"], seen["started"]) == (0, [])
    assert {"aiohttp", "asyncio", "numpy", "rich", "sqlite3", "structlog"} & set(seen["modules"]) == set()
