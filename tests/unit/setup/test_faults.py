"""Faults on purpose as a plan has them: the same seed gives the same moments, and what is impossible is said."""

import json
from pathlib import Path

import pytest

from soakd.errors import ConfigError
from soakd.setup import config
from soakd.setup.faults import touched
from soakd.setup.plan import Plan, make_plan
from soakd.setup.plan_json import plan_as_dict, plan_from_dict

POLICIES = Path(__file__).parents[3] / "configs" / "policies"
ENGINES = f"""
[run]
duration = "10min"
sample_every = "1s"
seed = {{seed}}
[[engine]]
name = "redis"
kind = "cache.redis"
[[engine]]
name = "far"
kind = "cache.redis"
options = {{{{ url = "redis://cache.test:6379/0" }}}}
[[engine]]
name = "tls"
kind = "cache.redis"
options = {{{{ url = "rediss://:secret@cache.test:6379/0" }}}}
[[engine]]
name = "local"
kind = "cache.native"
[[engine]]
name = "policy"
kind = "policy.regorus"
options = {{{{ policy = "{POLICIES}/rbac.rego", rule = "data.rbac.allow" }}}}
[[engine]]
name = "both"
kind = "authorize"
options = {{{{ policy = "policy", cache = "redis" }}}}
"""


def plan(fault: str, seed: int = 1, only: tuple[str, ...] = ()) -> Plan:
    text = ENGINES.format(seed=seed) + "[[fault]]\n" + fault
    return make_plan(config.parse(text, source="soak.toml", folder=Path.cwd(), only=only))


RANDOM = 'kind = "kill"\ntarget = "redis"\nevery = "30s"\njitter = "15s"\ncount = 10'


def test_the_same_seed_gives_the_same_moments_and_another_one_others() -> None:
    first, again, other = plan(RANDOM), plan(RANDOM), plan(RANDOM, seed=2)
    assert [fault.at_s for fault in first.faults] == [fault.at_s for fault in again.faults]
    assert [fault.at_s for fault in first.faults] != [fault.at_s for fault in other.faults]


def test_random_moments_are_within_their_jitter_in_order_and_so_many() -> None:
    found = plan(RANDOM)
    load = next(e.load for e in found.engines if e.config.name == "redis")
    moments = [fault.at_s - load.start_s for fault in found.faults]
    assert len(moments) == 10
    assert moments == sorted(moments)
    assert all(abs(at_s - 30.0 * turn) <= 15.0 for turn, at_s in enumerate(moments, 1))
    assert len({round(at_s % 30.0, 1) for at_s in moments}) > 3


def test_moments_count_from_the_begin_of_the_load() -> None:
    found = plan('kind = "restart"\ntarget = "redis"\nat = ["90s", "10s"]')
    load = next(e.load for e in found.engines if e.config.name == "redis")
    assert [fault.at_s for fault in found.faults] == [load.start_s + 10.0, load.start_s + 90.0]


@pytest.mark.parametrize(
    ("kind", "target", "on"),
    [("kill", "redis", "server"), ("kill", "local", "worker"), ("kill", "far", "worker"), ("reset", "far", "network")],
)
def test_where_a_fault_happens_follows_from_its_kind_and_target(kind: str, target: str, on: str) -> None:
    assert plan(f'kind = "{kind}"\ntarget = "{target}"\nat = "10s"').faults[0].on == on


def test_a_fault_of_a_server_touches_the_engines_that_use_it_and_one_of_a_worker_that_one() -> None:
    configs = [engine.config for engine in plan(RANDOM).engines]
    assert touched(configs, "redis", "server") == ("redis", "both")
    assert touched(configs, "redis", "worker") == ("redis",)


def test_a_plan_with_faults_is_read_from_its_file_as_it_was_written() -> None:
    written = plan(RANDOM)
    read = plan_from_dict(json.loads(json.dumps(plan_as_dict(written))))
    assert read.faults == written.faults
    assert plan_as_dict(read) == plan_as_dict(written), "all but the password of an address, which no copy holds"
    assert [e for e in read.engines if e.config.name != "tls"] == [e for e in written.engines if e.config.name != "tls"]


def test_faults_are_numbered_in_the_order_of_their_moments_in_old_plans_too() -> None:
    two = 'kind = "kill"\ntarget = "redis"\nat = ["40s", "10s"]\n[[fault]]\nkind = "kill"\ntarget = "local"\nat = "20s"'
    written = plan(two)
    assert [fault.number for fault in written.faults] == [1, 2, 3]
    fields = json.loads(json.dumps(plan_as_dict(written)))
    for fault in fields["faults"]:
        del fault["number"]
    assert plan_from_dict(fields).faults == written.faults


def test_faults_of_engines_that_are_left_out_are_left_out() -> None:
    assert plan(RANDOM, only=("local",)).faults == ()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ('kind = "melt"\ntarget = "redis"\nat = "1s"', r'fault 1: kind: must be one of kill, stop, .*, got "melt"'),
        ('kind = "kill"\ntarget = "nobody"\nat = "1s"', 'target: must name an engine: redis, .*, got "nobody"'),
        ('kind = "kill"\ntarget = "control-null"\nat = "1s"', "target: must name an engine"),
        ('kind = "latency"\ntarget = "local"\nat = "1s"\nduration = "1s"\nlatency = "1ms"', "has no network"),
        ('kind = "restart"\ntarget = "local"\nat = "1s"', "has no server"),
        ('kind = "restart"\ntarget = "far"\nat = "1s"', "does not stop servers that it did not start"),
        ('kind = "reset"\ntarget = "tls"\nat = "1s"', 'with TLS, got "rediss://cache.test:6379/0"'),
        ('kind = "reload-policy"\ntarget = "redis"\nat = "1s"', "load a policy"),
        ('kind = "kill"\ntarget = "redis"\non = "network"\nat = "1s"', 'on: "kill" is not possible there'),
        ('kind = "kill"\ntarget = "redis"', "give either at"),
        ('kind = "kill"\ntarget = "redis"\nat = "1s"\nevery = "1s"', "give either at"),
        ('kind = "kill"\ntarget = "redis"\nat = 1', "must be a time since the load began"),
        ('kind = "kill"\ntarget = "redis"\nat = "1s"\ncount = 2', "count: is only allowed with every"),
        ('kind = "kill"\ntarget = "redis"\nevery = "10s"\njitter = "6s"', "jitter: must be at most half"),
        ('kind = "stop"\ntarget = "redis"\nat = "1s"', 'duration: "stop" needs a duration'),
        ('kind = "kill"\ntarget = "redis"\nat = "1s"\nduration = "1s"', "over at once"),
        ('kind = "latency"\ntarget = "redis"\nat = "1s"\nduration = "1s"', 'latency: is required for "latency" faults'),
        ('kind = "kill"\ntarget = "redis"\nat = "9min"', "9min after the load began is too late"),
        ('kind = "kill"\ntarget = "redis"\nevery = "1min"\ncount = 8', "too late"),
        (
            'kind = "kill"\ntarget = "redis"\nat = "1s"\nname = "server"',
            "name: must be another: the check recovery.server",
        ),
        ('kind = "kill"\ntarget = "redis"\nat = "1s"\nwhen = "now"', 'unknown key "when"'),
        (RANDOM + "\n[[fault]]\n" + RANDOM, 'fault "kill@redis": name: must be unique'),
    ],
)
def test_a_fault_that_cannot_be_is_refused_in_a_line(fault: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        plan(fault)
    assert "\n" not in str(caught.value)
