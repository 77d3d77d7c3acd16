from pathlib import Path

import pytest

from soakd.errors import ConfigError
from soakd.setup import config
from soakd.setup.settings import Config

MINIMAL = """
[run]
duration = "10min"
sample_every = "1s"
[[engine]]
name = "mine"
kind = "python"
factory = "package.module:make"
rate = 100
"""


def parse(text: str, **more: object) -> Config:
    return config.parse(text, source="soak.toml", folder=Path.cwd(), **more)  # type: ignore[arg-type]


def test_a_minimal_file_gets_the_defaults_of_the_design_and_both_controls() -> None:
    loaded = parse(MINIMAL)
    mine, *controls = loaded.engines
    assert (mine.role, mine.profile, mine.mix, mine.limits.growth_rate_bytes_per_h) == (
        "subject",
        "target",
        "standard",
        1e6,
    )
    assert [engine.kind for engine in controls] == ["control.null", "control.leak"]
    assert (loaded.run.name, loaded.run.collect_every_s, loaded.run.snapshot_every_s) == ("soak", 60.0, 300.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('rate = 100', 'rate = -5'), 'soak.toml: engine "mine": rate: must be above 0, got -5'),
        (('rate = 100', 'rate = "fast"'), 'engine "mine": rate: must be a number, got "fast"'),
        (('rate = 100', 'rat = 100'), 'engine "mine": unknown key "rat" (did you mean "rate"?)'),
        (('"10min"', '"10 bananas"'), 'soak.toml: run: duration: expected a duration such as'),
        (('"10min"', '600'), 'run: duration: must be a text with a unit'),
        (('"10min"', '"0s"'), 'run: duration: must be above 0, got "0s"'),
        (('duration = "10min"', ''), 'run: duration: give either duration = "24h" or operations'),
        (('duration = "10min"', 'duration = "1h"\noperations = 5'), 'run: duration: give either'),
        (('"python"', '"pythn"'), 'kind: must be one of authorize, cache.native'),
        (('factory = "package.module:make"', ''), 'engine "mine": factory: kind "python" needs factory'),
        (('package.module:make', 'package.module'), 'factory: must be "package.module:make", got "package.module"'),
        (('name = "mine"', ''), 'engine 1: name: must be given'),
        (('name = "mine"', 'name = "../x"'), 'name: must be given: letters'),
        (('[[engine]]', '[engine]'), 'engine: must be an array of tables: [[engine]]'),
        (('[run]', '[run'), 'soak.toml: not TOML:'),
        (('[run]', '[rum]\n[run]'), 'soak.toml: unknown key "rum" (did you mean "run"?)'),
        (('[run]', '[limits]\ngrowth_rate = "1MB"\n[run]'), 'limits: growth_rate: expected growth per time'),
        (('[run]', '[limits]\nerror_ratio = nan\n[run]'), 'limits: error_ratio: must be a number'),
        (('[run]', '[http]\nport = 70000\n[run]'), 'http: port: must be a whole number of at least 0'),
        (('rate = 100', 'twin_of = "nobody"'), 'engine "mine": twin_of: must name another engine, got "nobody"'),
        (('rate = 100', 'rate = 1e308'), 'rate: must be at most 10,000,000'),
        (('rate = 100', 'options = []'), 'options: must be a table'),
        (('rate = 100', 'options = { when = 2020-01-01 }'), 'options: may hold texts, finite numbers'),
        (('rate = 100', 'options = { size = nan }'), 'options: may hold texts, finite numbers'),
        (('rate = 100', r'python = "\u0000"'), 'python: must be a text in quotes, without NUL'),
        (('rate = 100', r'path = ["\u0000"]'), 'path: must be a list of texts'),
        (('"10min"', '"1e300h"'), 'run: duration: must be at most 366d'),
        (('"1s"', '"1us"'), 'run: sample_every: must be at least 0.01s'),
        (('[run]', '[limits]\nerror_ratio = 10\n[run]'), 'limits: error_ratio: must be at most 1, got 10'),
        (('rate = 100', 'mix = "blend"'), 'mix: must be one of standard, read-heavy'),
        (('[run]', '[run]\ncontrols_off = ["zero"]'), 'controls_off: must be a list of these: null, leak, got "zero"'),
        (('rate = 100', 'role = "control"'), 'role: "control" is only for control.null and control.leak'),
        (('name = "mine"', r'name = "a\nb"'), r'engine "a\nb": name: must be given: letters'),
        (('rate = 100', r'"a\nb" = 1'), r'unknown key "a\nb"; known keys:'),
        (('rate = 100', f'rate = {"[" * 5000}{"]" * 5000}'), 'soak.toml: not TOML: brackets are nested too deep'),
        (('rate = 100', f'rate = {"9" * 5000}'), 'soak.toml: not TOML: Exceeds the limit'),
        (('rate = 100', f'rate = {"9" * 400}'), 'soak.toml: not TOML: a whole number is larger than 64 bits'),
        (('rate = 100', f'rate{".a" * 2000} = 1'), 'soak.toml: not TOML: tables are nested too deep'),
        (('rate = 100', f'rate = 1\noptions = {{ n = [0x{"f" * 5000}] }}'), 'soak.toml: not TOML: a whole number'),
        (('[run]', '[limits]\ngrowth_rate = "1e300MB/ns"\n[run]'), 'growth_rate: expected growth per time'),
    ],
)  # fmt: skip
def test_one_error_names_file_place_rule_and_what_was_given(change: tuple[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(MINIMAL.replace(*change))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


SIX = """
[run]
duraton = "10min"
sample_every = "1s"
[[engine]]
name = "mine"
kind = "pyhton"
factory = "package.module:make"
options = { anything = 1 }
[limits]
growth_rate = "1MB"
[[engine]]
name = "cache"
kind = "cache.native"
role = "subjct"
options = { capactiy = 5, ttl = "soon" }
twin_of = "mine"
[[fault]]
kind = "kill"
target = "mine"
evry = "10s"
"""


def test_every_error_of_a_file_is_told_at_once_in_the_order_of_the_file() -> None:
    with pytest.raises(ConfigError) as error:
        parse(SIX)
    told = [
        'run: unknown key "duraton" (did you mean "duration"?); known keys: collect_every, ',
        'engine "mine": kind: must be one of authorize, ',
        'engine "cache": role: must be one of subject, rival, twin, control, got "subjct" (did you mean "subject"?)',
        'engine "cache": options: unknown key "capactiy" (did you mean "capacity"?); known keys: capacity, ttl',
        'engine "cache": options: ttl: expected a duration such as',
        'limits: growth_rate: expected growth per time such as "1MB/h", got "1MB"',
        'fault 1: unknown key "evry" (did you mean "every"?); known keys: at, ',
    ]
    assert len(error.value.problems) == len(told)
    for problem, start in zip(error.value.problems, told, strict=True):
        assert problem.startswith(f"soak.toml: {start}")
    assert error.value.problems[1].endswith('got "pyhton" (did you mean "python"?)')
    assert str(error.value) == "\n".join(error.value.problems)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (('"python"', '"redis"'), "cache.redis"),
        (('rate = 100', 'profile = "strss"'), "stress"),
        (('rate = 100', 'mix = "read_heavy"'), "read-heavy"),
        (('[run]', '[run]\ncontrols_off = ["nul"]'), "null"),
        (('rate = 100', 'rate = 1\n[[engine]]\nname = "b"\nkind = "control.null"\ntwin_of = "mime"'), "mine"),
        (('rate = 100', 'rate = 1\n[[fault]]\nkind = "kil"\ntarget = "mine"\nat = "1s"'), "kill"),
        (('rate = 100', 'rate = 1\n[[fault]]\nkind = "kill"\ntarget = "mein"\nat = "1s"'), "mine"),
        (('rate = 100', 'rate = 1\n[notify]\non = ["verdicts"]\ncommand = "x"'), "verdict"),
    ],
)  # fmt: skip
def test_a_name_that_is_almost_right_is_asked_back(change: tuple[str, str], hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(MINIMAL.replace(*change))
    assert [problem.endswith(f'(did you mean "{hint}"?)') for problem in error.value.problems] == [True]


FAULT = '[[fault]]\nkind = "kill"\ntarget = "mine"\nat = "1s"\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (MINIMAL.replace("[run]", "[runs]"), 'unknown key "runs" (did you mean "run"?)'),
        (MINIMAL.replace("[run]", "[[run]]"), "run: must be a table: [run]"),
        (MINIMAL.replace("[[engine]]", "[[engines]]") + FAULT, 'unknown key "engines" (did you mean "engine"?)'),
        (MINIMAL.replace("[[engine]]", "[engine]") + FAULT, "engine: must be an array of tables"),
        (MINIMAL.replace("rate = 100", "rate = 0") + FAULT, 'engine "mine": rate: must be above 0'),
        (MINIMAL.replace("factory", "factroy"), 'engine "mine": unknown key "factroy" (did you mean "factory"?)'),
        (MINIMAL.replace("name =", "nmae ="), 'engine 1: unknown key "nmae" (did you mean "name"?)'),
        (MINIMAL.replace('"mine"', "5"), 'engine "5": name: must be a text in quotes'),
        (MINIMAL + FAULT.replace("at =", "evry ="), 'fault 1: unknown key "evry" (did you mean "every"?)'),
        (MINIMAL + FAULT.replace('"kill"', '"stpo"'), 'fault 1: kind: must be one of kill, stop'),
    ],
)  # fmt: skip
def test_what_follows_from_an_error_is_not_told_as_another_one(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text)
    assert len(error.value.problems) == 1
    assert error.value.problems[0].startswith(f"soak.toml: {problem}")


def test_wrong_settings_of_the_command_line_are_told_with_what_is_wrong_in_the_file() -> None:
    with pytest.raises(ConfigError) as error:
        parse(MINIMAL.replace("rate = 100", "rate = 0"), overrides=["engine.mime.rate=5", "x"], only=["mime"])
    told = [problem.partition(",")[0] for problem in error.value.problems]
    assert told == [
        'soak.toml: engine "mine": rate: must be above 0',
        '--set engine.mime.rate=5: no engine "mime" (did you mean "mine"?)',
        '--set x: must be "table.key=value"',
        'soak.toml: no engine "mime" (did you mean "mine"?); engines: mine',
    ]


AUTHORIZE = (
    MINIMAL
    + """
[[engine]]
name = "cache"
kind = "cache.native"
[[engine]]
name = "both"
kind = "authorize"
options = { cache = "cach", policy = "mine" }
"""
)


def test_the_parts_of_authorize_are_engines_of_the_right_kind_in_the_same_run() -> None:
    with pytest.raises(ConfigError) as error:
        parse(AUTHORIZE)
    assert error.value.problems == (
        (
            'soak.toml: engine "both": options: cache: must name an engine of a kind cache.*: cache, got "cach" '
            '(did you mean "cache"?)'
        ),
        'soak.toml: engine "both": options: policy: must name an engine of a kind policy.*: there is none, got "mine"',
    )
    with pytest.raises(ConfigError, match='engine "both": options: policy: must name an engine of this run'):
        parse(AUTHORIZE.replace('cache = "cach", policy = "mine"', 'cache = "cache"'))


def test_a_part_of_authorize_must_not_be_left_out() -> None:
    policy = Path(__file__).parents[3] / "configs" / "policies" / "rbac.rego"
    options = f'policy = "{policy}", rule = "data.rbac.allow"'
    text = AUTHORIZE.replace('"cach"', '"cache"').replace('policy = "mine"', 'policy = "p"')
    text += f'[[engine]]\nname = "p"\nkind = "policy.regorus"\noptions = {{ {options} }}\n'
    assert len(parse(text, only=["both", "cache", "p"]).engines) == 5
    with pytest.raises(ConfigError, match=r'engine "both": .*--only leaves out engine "cache".*: add --only cache$'):
        parse(text, only=["both", "p"])


@pytest.mark.parametrize(
    ("options", "missing"),
    [("", ["policy", "rule"]), ('polcy = "."', ["rule"]), ('policy = "."', ["rule"]), ('rule = "data.a"', ["policy"])],
)
def test_an_option_that_a_kind_needs_is_missed_before_anything_starts(options: str, missing: list[str]) -> None:
    text = MINIMAL + f'[[engine]]\nname = "p"\nkind = "policy.regorus"\noptions = {{ {options} }}\n'
    with pytest.raises(ConfigError) as error:
        parse(text)
    told = [p for p in error.value.problems if "must be given" in p]
    assert [p.split(": ")[3] for p in told] == missing


def test_a_broken_file_of_waivers_is_told_with_the_rest(tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text('[[waiver]]\nfingerprnt = "x"\n', encoding="utf-8")
    text = MINIMAL.replace("[run]", '[run]\nwaivers = "w.toml"').replace("rate = 100", "rate = 0")
    with pytest.raises(ConfigError) as error:
        config.parse(text, source="soak.toml", folder=tmp_path)
    assert [problem.split(": ")[2] for problem in error.value.problems] == [
        "expires", "reason", 'unknown key "fingerprnt" (did you mean "fingerprint"?); known keys', "rate",
    ]  # fmt: skip


def test_two_engines_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match='engine "mine": name: must be unique, but 2 engines have it'):
        parse(MINIMAL + MINIMAL[MINIMAL.index("[[engine]]") :])


def test_an_unknown_option_names_the_known_ones() -> None:
    text = MINIMAL.replace('"python"', '"cache.native"').replace(
        'factory = "package.module:make"', "options = { capactiy = 5 }"
    )
    with pytest.raises(
        ConfigError, match=r'engine "mine": options: unknown key "capactiy" \(did you mean "capacity"\?\)'
    ):
        parse(text)


def test_a_named_growth_limit_is_the_only_one_judged() -> None:
    limits = parse('[limits]\ngrowth_per_operation = "16B"\n' + MINIMAL).engines[0].limits
    assert (limits.growth_rate_bytes_per_h, limits.growth_per_operation_bytes) == (None, 16.0)


def test_an_engines_own_limits_win() -> None:
    own = MINIMAL + 'limits = { growth_rate = "2MB/h", latency_p95 = "7ms" }\n'
    limits = parse('[limits]\nlatency_p95 = "1ms"\n' + own).engines[0].limits
    assert limits.growth_rate_bytes_per_h == 2e6
    assert limits.latency_p95_s == pytest.approx(7e-3)


def test_settings_from_the_command_line_win_over_the_file() -> None:
    loaded = parse(MINIMAL, duration="60s", overrides=["engine.mine.rate=50", "limits.growth_rate=2MB/h"])
    assert (loaded.run.duration_s, loaded.engines[0].rate_per_s) == (60.0, 50)
    assert loaded.engines[0].limits.growth_rate_bytes_per_h == 2e6


@pytest.mark.parametrize(
    "override", ["rate=5", "engine.other.rate=5", "limits", "engine.mine=5", "run.duration.x=1", "engine.mine.name.x=1"]
)
def test_a_setting_that_names_nothing_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse(MINIMAL, overrides=[override])


@pytest.mark.parametrize("text", ["engine = 5", "engine = [1, 2]", "run = 5", "limits = 5", "[engine]"])
def test_a_setting_on_a_file_of_another_shape_is_an_error_of_the_file(text: str) -> None:
    for override in ("engine.mine.rate=5", "run.seed=5", "limits.error_ratio=0.1"):
        with pytest.raises(ConfigError):
            parse(text, overrides=[override])


def test_an_engine_with_dots_in_its_name_can_be_set() -> None:
    text = MINIMAL.replace('"mine"', '"mine.v2"') + MINIMAL[MINIMAL.index("[[engine]]") :]
    assert parse(text, overrides=["engine.mine.v2.rate=7"]).engines[0].rate_per_s == 7


def test_only_keeps_the_named_engine_and_the_controls() -> None:
    two = MINIMAL + MINIMAL[MINIMAL.index("[[engine]]") :].replace('"mine"', '"other"')
    assert [engine.name for engine in parse(two, only=["other"]).engines] == ["other", "control-null", "control-leak"]
    with pytest.raises(ConfigError, match='no engine "third"; engines: mine, other'):
        parse(two, only=["third"])


def test_a_control_can_be_switched_off_by_name_only() -> None:
    loaded = parse(MINIMAL.replace("[run]", '[run]\ncontrols_off = ["leak"]'))
    assert [engine.kind for engine in loaded.engines] == ["python", "control.null"]


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        config.load(tmp_path / "absent.toml")


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "soak.toml").write_text(MINIMAL, encoding="utf-8-sig")
    assert config.load(tmp_path / "soak.toml").text == MINIMAL


def test_a_file_that_is_not_utf8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "soak.toml").write_text(MINIMAL.replace("[run]", "[run]  # für"), encoding="latin-1")
    with pytest.raises(ConfigError, match=r"soak\.toml: cannot be read: 'utf-8' codec can't decode"):
        config.load(tmp_path / "soak.toml")


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "configs").glob("*.toml")), ids=lambda path: path.name
)
def test_every_shipped_configuration_loads(path: Path) -> None:
    assert config.load(path).engines


def redis(options: str, folder: Path | None = None) -> Config:
    text = MINIMAL + f'[[engine]]\nname = "r"\nkind = "cache.redis"\noptions = {{ {options} }}\n'
    return config.parse(text, source="soak.toml", folder=folder or Path.cwd())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ('url = "http://localhost:1"', "url: must begin with unix:// or redis:// or rediss://, got \"?'?http"),
        ('url = "redis://"', "url: must begin with"),
        ('url = "unix:///r.sock", binary = "redis-server"', "url names a running server, but binary is for"),
        ('backend = "shared"', 'backend: must be "private"'),
        ('binary = "./none"', "binary: no such file: "),
        ('args = "--port 0"', "args: must be a list of texts"),
        ('judge_server = "yes"', "judge_server: must be true or false"),
        ("retries = -1", "retries: must be at least 0"),
        ('timeout = "fast"', "timeout: expected a duration"),
    ],
)
def test_a_server_that_is_named_wrongly_is_refused(options: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f'engine "r": options: {message}'):
        redis(options)


def test_a_server_program_is_found_beside_the_configuration_or_else_by_its_name_later(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    assert redis('binary = "mine"', tmp_path).engines[1].options["binary"] == str(tmp_path / "mine")
    assert redis('binary = "redis-server"', tmp_path).engines[1].options["binary"] == "redis-server"
