import json
from itertools import pairwise
from pathlib import Path

import pytest

from soakd.errors import ConfigError
from soakd.setup import config
from soakd.setup.plan import LEAST_SAMPLES, load_plan, make_plan, phases_for_operations, phases_of, worker_spec
from soakd.setup.plan_json import plan_as_dict, plan_from_dict
from soakd.setup.settings import Config
from soakd.wire.spec import WorkerSpec

CONFIGS = Path(__file__).parents[3] / "configs"


def engine(limits: str, run: str = 'duration = "10min"\nsample_every = "1s"', kind: str = "cache.native") -> Config:
    text = f'[run]\n{run}\n[limits]\n{limits}\n[[engine]]\nname = "mine"\nkind = "{kind}"\nrate = 100\n'
    return config.parse(text, source="soak.toml", folder=Path.cwd())


@pytest.mark.parametrize("duration_s", [60.0, 180.0, 86400.0, 30 * 86400.0])
def test_phases_follow_each_other_without_gaps_and_fill_the_run(duration_s: float) -> None:
    phases = phases_of(duration_s)
    assert [phase.name for phase in phases] == ["baseline", "load", "drain", "reload", "close"]
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in pairwise(phases))
    assert phases[-1].end_s == pytest.approx(duration_s)
    assert all(phase.duration_s <= 600 for phase in phases if phase.name != "load")


def test_a_run_by_operations_has_room_for_exactly_so_many() -> None:
    load = phases_for_operations(100_000, 1000)[1]
    assert load.duration_s == pytest.approx(100.0)


def test_a_plan_with_too_few_samples_is_refused_with_what_to_set() -> None:
    with pytest.raises(ConfigError, match=rf"9 samples fit .*, {LEAST_SAMPLES} are needed: set sample_every = "):
        make_plan(engine('growth_rate = "1MB/h"', 'duration = "2min"\nsample_every = "10s"'))


def test_reachable_bytes_are_collected_at_least_forty_times() -> None:
    plan = make_plan(engine('growth_rate = "1MB/h"'))
    assert plan.engines[0].collect_every_s == pytest.approx(450 / 40)


def test_nothing_is_forked_where_nothing_is_collected_but_of_an_engine_that_says_so() -> None:
    text = '[run]\nduration = "10min"\nsample_every = "5s"\ncollect_every = "off"\n'
    text += '[[engine]]\nname = "a"\nkind = "cache.native"\ncollect_every = "5s"\n'
    text += '[[engine]]\nname = "b"\nkind = "cache.native"\n'
    a, b, *_ = make_plan(config.parse(text, source="soak.toml", folder=Path.cwd())).engines
    assert (a.collect_every_s, a.snapshot_every_s) == (5.0, 300.0)
    assert (b.collect_every_s, b.snapshot_every_s) == (None, None)


def test_the_leak_control_leaks_twice_the_strictest_limit_in_its_own_unit() -> None:
    hourly = make_plan(engine('growth_rate = "1MB/h"')).engines[-1]
    per_operation = make_plan(engine('growth_per_operation = "16B"')).engines[-1]
    assert (hourly.config.kind, hourly.options) == ("control.leak", {"bytes_per_hour": 2e6})
    assert per_operation.options == {"bytes_per_operation": 32.0}


def test_the_leak_control_is_judged_by_the_limit_that_it_leaks_twice_of() -> None:
    """By the run's own, laxer one it would not be caught, and the run be INVALID."""
    own = 'rate = 100\nlimits = { growth_per_operation = "6B" }\n'
    text = '[run]\nduration = "10min"\nsample_every = "1s"\n[limits]\ngrowth_per_operation = "16B"\n'
    text += f'[[engine]]\nname = "lax"\nkind = "cache.native"\n[[engine]]\nname = "mine"\nkind = "cache.native"\n{own}'
    control = make_plan(config.parse(text, source="soak.toml", folder=Path.cwd())).engines[-1]
    assert control.options == {"bytes_per_operation": 12.0}
    assert control.config.limits.growth_per_operation_bytes == 6.0
    given = '[[engine]]\nname = "leak"\nkind = "control.leak"\noptions = { bytes_per_hour = 3e6 }\n'
    control = make_plan(config.parse(text + given, source="soak.toml", folder=Path.cwd())).engines[2]
    assert control.options == {"bytes_per_hour": 3e6}
    assert control.config.limits.growth_per_operation_bytes == 16.0


def test_the_leak_control_never_fills_the_host() -> None:
    plan = make_plan(engine('growth_per_operation = "16B"', 'duration = "7d"\nsample_every = "10s"'))
    control = plan.engines[-1]
    assert control.rate_per_s * 32.0 * plan.duration_s <= 210e6


def test_subject_and_rival_see_the_same_operations() -> None:
    plan = make_plan(config.load(CONFIGS / "quick.toml"))
    seeds = {engine.config.name: engine.seed for engine in plan.engines}
    assert seeds["cache-rust"] == seeds["cache-python"]


def test_the_same_configuration_gives_the_same_plan() -> None:
    assert make_plan(config.load(CONFIGS / "quick.toml")) == make_plan(config.load(CONFIGS / "quick.toml"))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_a_plan_survives_the_journal(path: Path) -> None:
    plan = make_plan(config.load(path))
    assert plan_from_dict(json.loads(json.dumps(plan_as_dict(plan)))) == plan


def test_a_worker_spec_survives_the_control_pipe() -> None:
    plan = make_plan(config.load(CONFIGS / "quick.toml"))
    spec = worker_spec(plan, plan.engines[0], 3, ("/a", "/b"))
    assert WorkerSpec.from_json(spec.to_json()) == spec


def test_a_worker_hears_its_servers_address_and_nothing_else_about_servers() -> None:
    text = """
        [run]
        duration = "10min"
        sample_every = "1s"
        [[engine]]
        name = "cache"
        kind = "cache.redis"
        options = { capacity = 7, judge_server = true, args = ["--io-threads", "1"], backend = "private" }
        [[engine]]
        name = "policy"
        kind = "policy.opa"
        options = { url = "http://opa.test", rule = "data.p.allow" }
        [[engine]]
        name = "authorize"
        kind = "authorize"
        options = { cache = "cache", policy = "policy" }
    """
    plan = make_plan(config.parse(text, source="soak.toml", folder=Path.cwd()))
    cache, _, authorize = (worker_spec(plan, engine, 0, (), {"cache": "unix:///r"}) for engine in plan.engines[:3])
    assert cache.options == authorize.peers["cache"]["options"] == {"capacity": 7, "url": "unix:///r"}
    assert authorize.options == {"cache": "cache", "policy": "policy"}
    assert plan.engines[0].options["judge_server"] is True


@pytest.mark.parametrize("rates", [(2000, 100), (100, 2000), (1000, 1000)])
def test_latencies_of_the_shortest_load_are_told_often_enough(rates: tuple[int, int]) -> None:
    """With so many operations an engine each, the fast one is done long before the slow one."""
    text = '[run]\noperations = 100_000\nsample_every = "1s"\n'
    for name, rate in zip("ab", rates, strict=True):
        text += f'[[engine]]\nname = "{name}"\nkind = "cache.native"\nrate = {rate}\n'
    plan = make_plan(config.parse(text, source="soak.toml", folder=Path.cwd()))
    assert plan.latency_every_s <= min(engine.load.duration_s for engine in plan.engines) / 20


def test_with_both_limits_the_leak_control_is_judged_by_the_one_in_whose_unit_it_leaks() -> None:
    limits = make_plan(engine('growth_rate = "10MB/h"\ngrowth_per_operation = "16B"')).engines[-1].config.limits
    assert (limits.growth_rate_bytes_per_h, limits.growth_per_operation_bytes) == (None, 16.0)


def test_what_is_wrong_with_the_plan_is_told_with_what_is_wrong_in_the_file(tmp_path: Path) -> None:
    text = """
[run]
duration = "2min"
sample_every = "10s"
[[engine]]
name = "mine"
kind = "control.null"
role = "subject"
[[engine]]
name = "wrong"
kind = "control.nul"
[[fault]]
kind = "kill"
target = "mine"
at = "10min"
[[fault]]
kind = "kill"
target = "wrong"
at = "10min"
"""
    (tmp_path / "soak.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_plan(tmp_path / "soak.toml")
    told = [problem.split(": ")[1:3] for problem in error.value.problems]
    assert told == [['engine "wrong"', "kind"], ["run", "sample_every"], ['fault "kill@mine"', "at"]]
