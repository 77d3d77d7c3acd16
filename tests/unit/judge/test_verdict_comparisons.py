import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from soakd.errors import ConfigError
from soakd.live.terminal.closing import print_closing
from soakd.report.markdown import markdown
from soakd.setup import config
from soakd.setup.plan import Plan, make_plan
from tests.recorded import Level, ServerStory, Story, made_up, per_operation, verdict_of
from tests.typed import typed

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "soakd" / "report" / "verdict.schema.json").read_text(encoding="utf-8")
)
TEXT = """
[run]
name = "made-up"
duration = "3min"
sample_every = "1s"
[limits]
growth_per_operation = "16B"
{engines}
"""
TAPE = "ab" * 32
CACHES = {"ours": 'kind = "cache.native"', "theirs": 'kind = "cache.redis"\noptions = { capacity = 20_000 }'}


def plan_with(engines: dict[str, str]) -> Plan:
    tables = "\n".join(f'[[engine]]\nname = "{name}"\nrate = 1000\n{lines}' for name, lines in engines.items())
    return make_plan(config.parse(TEXT.format(engines=tables), source="made-up.toml", folder=Path.cwd()))


def fills(bytes_per_entry: float) -> Level:
    return lambda t_s, operations: bytes_per_entry * entries(t_s, operations)


def entries(t_s: float, operations: float) -> float:
    return min(20_000.0, operations)


def ours(**more: Any) -> Story:
    return Story(native=fills(100), more={"counter.entries": entries}, tape_sha256=TAPE, **more)


def theirs(*, server: ServerStory | None = ServerStory(live=fills(300), cpu=0.3)) -> Story:  # noqa: B008 - frozen in use
    return Story(server=server, more={"counter.entries": entries}, tape_sha256=TAPE, latency_ns=300_000)


def compared(engines: dict[str, str], **stories: Story) -> list[dict[str, Any]]:
    plan = plan_with(engines)
    verdict = verdict_of(plan, made_up(plan, dict(stories)))
    jsonschema.validate(json.loads(json.dumps(verdict, allow_nan=False)), SCHEMA)
    found: list[dict[str, Any]] = verdict.get("comparisons", [])
    return found


def figures(comparison: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {figure["id"]: figure for figure in comparison["figures"]}


def test_a_rival_stands_beside_its_subject_with_the_ratio_of_each_figure() -> None:
    (found,) = compared(CACHES, ours=ours(), theirs=theirs())
    assert (found["subject"], found["other"], found["role"], found["same_tape"]) == ("ours", "theirs", "rival", True)
    by_id = figures(found)
    assert [by_id[f"service_{p}"]["ratio"] for p in ("p50", "p95", "p99")] == pytest.approx([15, 15, 15], rel=0.05)
    assert by_id["operations_per_second"]["ratio"] == pytest.approx(1.0, rel=0.01)
    assert by_id["operations_per_cpu_second"]["subject"] == pytest.approx(10_000, rel=0.01)
    assert by_id["operations_per_cpu_second_with_server"]["other"] == pytest.approx(2_500, rel=0.01)
    assert by_id["operations_per_cpu_second_with_server"]["ratio"] == pytest.approx(0.25, rel=0.01)
    assert by_id["memory_per_entry"]["subject"] == pytest.approx(100, rel=0.02)
    assert by_id["memory_per_entry"]["other"] == pytest.approx(300, rel=0.02), "of the server, which holds them"
    assert "ratio" not in by_id["growth_per_operation"], "what may as well be 0 has no ratio"
    assert "subject" not in by_id["server_growth_per_operation"]


def test_growth_that_is_certain_on_both_sides_has_a_ratio() -> None:
    engines = dict.fromkeys(("one", "two"), 'kind = "cache.native"') | {"two": 'kind = "cache.python"'}
    (found,) = compared(engines, one=Story(native=per_operation(40)), two=Story(python=per_operation(120)))
    assert figures(found)["growth_per_operation"]["ratio"] == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize("capacity", [20_000.0, 1_500.0], ids=["a slow fill", "a fill between samples"])
def test_connections_of_a_server_are_no_entries_where_the_fill_shows_them(capacity: float) -> None:
    def held(t_s: float, operations: float) -> float:
        return min(capacity, operations)

    def live(t_s: float, operations: float) -> float:
        return 300.0 * held(t_s, operations) + (1.5e6 if operations else 0.0)

    redis = Story(server=ServerStory(live=live), more={"counter.entries": held}, tape_sha256=TAPE)
    (found,) = compared(CACHES, ours=ours(), theirs=redis)
    expected = 300.0 if capacity > 10_000 else 300.0 + 1.5e6 / capacity
    assert figures(found)["memory_per_entry"]["other"] == pytest.approx(expected, rel=0.02)


def test_what_was_not_measured_is_absent_and_never_0() -> None:
    (found,) = compared(CACHES, ours=Story(tape_sha256=TAPE), theirs=theirs(server=None))
    measured = {figure["id"] for figure in found["figures"] if "subject" in figure}
    assert not {"memory_per_entry", "server_growth_per_operation", "operations_per_cpu_second_with_server"} & measured
    sides = ("subject", "other", "ratio")
    numbers = [figure.get(side) for figure in found["figures"] if "growth" not in figure["id"] for side in sides]
    assert 0 not in numbers


@pytest.mark.parametrize(
    ("hashes", "words"),
    [
        ((TAPE, "cd" * 32), "they were not driven by the same operations"),
        ((TAPE, None), "which operations drove theirs was not recorded"),
        ((None, None), "which operations drove ours and theirs was not recorded"),
    ],
)
def test_operations_that_are_not_the_same_are_said(hashes: tuple[str | None, str | None], words: str) -> None:
    mine, other = (Story(tape_sha256=tape) for tape in hashes)
    (found,) = compared(CACHES, ours=mine, theirs=other)
    assert (found["same_tape"], found["note"]) == (False, words)


def test_why_there_are_no_service_times_to_compare_is_said() -> None:
    late = theirs()
    late.lateness_ns = 50_000_000
    (found,) = compared(CACHES, ours=ours(), theirs=late)
    assert re.fullmatch(r"no service times of theirs: (\d+) of \1 windows were driver-bound", found["missing"])
    (figure,) = (figure for figure in found["figures"] if figure["id"] == "service_p50")
    assert "other" not in figure
    assert "missing" not in compared(CACHES, ours=ours(), theirs=theirs())[0]


def test_only_engines_that_do_the_same_work_on_the_same_mix_are_compared() -> None:
    own = 'kind = "python"\nfactory = "package.module:make"'
    engines = {
        "cache": 'kind = "cache.native"', "own": own, "other-mix": 'kind = "cache.python"\nmix = "read-heavy"',
        "rival": f'{own}\nrole = "rival"', "python": 'kind = "cache.python"',
        "twin": f'{own}\nrole = "twin"\ntwin_of = "own"',
    }  # fmt: skip
    assert [(c["subject"], c["other"], c["role"]) for c in compared(engines)] == [
        ("cache", "python", "rival"), ("own", "twin", "twin"),
    ]  # fmt: skip


def test_a_twin_is_compared_with_whom_it_names_alone() -> None:
    engines = dict.fromkeys(("one", "two"), 'kind = "cache.native"')
    engines["new"] = 'kind = "cache.native"\nrole = "twin"\ntwin_of = "two"'
    assert [(c["subject"], c["other"]) for c in compared(engines)] == [("two", "new")]


@pytest.mark.parametrize("named", ["nobody", "new", "control-null"])
def test_a_twin_names_another_engine_of_the_run(named: str) -> None:
    with pytest.raises(ConfigError, match="twin_of: must name another engine"):
        plan_with({"old": 'kind = "cache.native"', "new": f'kind = "cache.native"\ntwin_of = "{named}"'})


def test_where_nothing_is_compared_the_file_says_nothing() -> None:
    plan = plan_with({"alone": 'kind = "cache.native"'})
    assert "comparisons" not in verdict_of(plan, made_up(plan))


def test_the_end_of_a_run_and_its_summary_show_what_is_compared() -> None:
    plan = plan_with(CACHES)
    verdict = verdict_of(plan, made_up(plan, {"ours": ours(), "theirs": theirs()}))
    assert "| service p95 | 20.1 us | 301 us | 15x |" in markdown(typed(verdict))
    plain = shown(verdict, 200, terminal=False)
    assert re.search(
        r"^theirs beside ours  memory per entry  (299|30\d) B/entry  beside \S+ B/entry  [23]", plain, re.MULTILINE
    )
    table = shown(verdict, 80)
    assert "theirs beside ours" in table
    assert "operations per CPU second with server" in table
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in table.splitlines()) <= 80


def shown(verdict: dict[str, Any], width: int, *, terminal: bool = True) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, no_color=True, highlight=False)
    print_closing(typed(verdict), [], console=console)
    return out.getvalue()
