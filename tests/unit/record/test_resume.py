"""A run that another daemon began: what is read of it, and how it is judged."""

import json
import random
import shutil
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soakd.cli import main
from soakd.errors import JournalError, PreflightError
from soakd.judge.conclude.verdict import make_verdict
from soakd.judge.story.assemble import assemble
from soakd.live.status import RunStatus, recalled
from soakd.record import journal, resume, run_folder
from soakd.record.clocks import clock_shifts, on_one_clock
from soakd.record.resume import Resumption
from soakd.record.run_folder import RunDir
from soakd.setup.plan import longest_gap_s
from soakd.setup.plan_json import plan_as_dict
from soakd.wire.records import Record, Stamp, make_record
from tests.recorded import check, made_up, plan_of, remade, stamp, verdict_of

PLAN = plan_of()
DIED_S, RESUMED_S = 60.0, 64.0
BOOT = "the same boot"


def until(t_s: float) -> list[Record]:
    """What a daemon that was killed has committed."""
    return [r for r in made_up(PLAN, end=None) if r.at.mono_s <= stamp(t_s).mono_s]


def written(path: Path, records: list[Record], plan: Any = PLAN) -> Path:
    db = journal.Journal(path, on_commit=lambda batch: None, on_failure=print)
    db.set_meta({"run_id": "r", "plan": plan_as_dict(plan), "environment": {"host": {"boot_id": BOOT}}})
    for record in records:
        db.put(record)
    db.close()
    return path


def after(resumed: Resumption, clocks: Callable[[Stamp], Stamp], *, from_s: float = RESUMED_S) -> list[Record]:
    """What the next daemon commits: the rest of the story in another life, on its own clocks."""
    origin_s = next(r.body["mono_s"] for r in made_up(PLAN) if r.body.get("name") == "origin")
    shift_s = clocks(stamp(0.0)).mono_s - stamp(0.0).mono_s
    rest: list[Record] = [resumed.record(), resumed.incident()]
    lives = {name: past.next_segment for name, past in resumed.engines.items()}
    before: dict[str, float] = {}
    for record in until(from_s):
        before[record.engine] = max(before.get(record.engine, 0), record.body.get("operations_total", 0))
    for n, (name, life) in enumerate(lives.items()):
        hello = {"pid": 500 + 10 * life + n}
        rest.append(make_record("hello", engine=name, segment=life, at=clocks(stamp(from_s)), body=hello))
    for record in made_up(PLAN):
        if record.at.mono_s <= stamp(from_s).mono_s or record.kind == "hello":
            continue
        body = dict(record.body)
        if "operations_total" in body:
            body["operations_total"] -= before[record.engine]
        for name in ("reachable_forked_at_s", "from_mono_s"):
            if name in body:
                body[name] += shift_s
        segment = lives[record.engine] if record.engine else resumed.life
        rest.append(remade(record, segment=segment, at=clocks(record.at), body=body))
    assert resumed.origin_s == pytest.approx(origin_s + shift_s)
    return rest


def same(at: Stamp) -> Stamp:
    return at


def rebooted(at: Stamp) -> Stamp:
    """The clocks of a boot that began one second before the run was resumed."""
    since_s = at.wall_s - stamp(RESUMED_S - 1.0).wall_s
    return Stamp(at.wall_s, since_s, since_s)


@pytest.mark.parametrize(("clocks", "boot"), [(same, BOOT), (rebooted, "another boot")])
def test_a_resumed_run_is_judged_over_all_its_segments(
    tmp_path: Path, clocks: Callable[[Stamp], Stamp], boot: str
) -> None:
    first = until(DIED_S)
    path = written(tmp_path / "run.db", first)
    resumed = resume.look_back(path, clocks(stamp(RESUMED_S)), boot)
    assert resumed.gap_s == pytest.approx(RESUMED_S - DIED_S, abs=1.01)
    records = first + after(resumed, clocks)
    verdict = verdict_of(PLAN, list(on_one_clock(records, clock_shifts(records))))
    assert verdict["verdict"] == "PASS", verdict["summary"]
    assert check(verdict, "", "evidence.gap")["verdict"] == "PASS"
    assert check(verdict, "", "evidence.clock")["verdict"] == "PASS"
    assert check(verdict, "mine", "evidence.process")["verdict"] == "PASS"
    assert check(verdict, "mine", "rate.achieved")["estimate"] == pytest.approx(1.0, abs=0.001)
    gap_s = check(verdict, "mine", "evidence.coverage")["longest_gap_seconds"]
    assert gap_s == pytest.approx(RESUMED_S - DIED_S + 1.0, abs=0.1)
    lives = next(e for e in verdict["engines"] if e["name"] == "mine")["segments"]
    assert [(life["segment"], life["ended_by"]) for life in lives] == [(0, "daemon_gap"), (1, "completed")]
    assert [i["what"] for i in verdict["incidents"]] == ["daemon_gap"]


def test_the_order_of_records_does_not_matter_across_a_reboot(tmp_path: Path) -> None:
    first = until(DIED_S)
    resumed = resume.look_back(written(tmp_path / "run.db", first), rebooted(stamp(RESUMED_S)), "another boot")
    records = first + after(resumed, rebooted)
    shuffled = random.Random(1).sample(records, len(records))
    judged = [
        make_verdict(assemble(PLAN, on_one_clock(r, clock_shifts(r))), {"run_id": "r"}, running=False).as_dict()
        for r in (records, shuffled)
    ]
    assert json.dumps(judged[0]) == json.dumps(judged[1])


def test_no_segment_number_is_used_twice_over_many_resumes(tmp_path: Path) -> None:
    records, taken = until(DIED_S), {0}
    for n in range(1, 6):
        path = written(tmp_path / f"{n}.db", records)
        resumed = resume.look_back(path, stamp(DIED_S + 2 * n), BOOT)
        life = resumed.engines["mine"].next_segment
        assert life not in taken
        assert resumed.life == n
        taken.add(life)
        at = stamp(DIED_S + 2 * n)
        sample = {"source": "outside", "rss_bytes": 1.0}  # a life that ended before its worker could say hello
        records += [resumed.record(), make_record("sample", engine="mine", segment=life, at=at, body=sample)]


def test_a_server_has_numbers_of_its_own(tmp_path: Path) -> None:
    server = {"source": "server", "server": "redis", "rss_bytes": 1.0}
    crash = {"what": "server_crash", "detail": "gone", "server": "redis"}
    records = [
        *until(DIED_S),
        make_record("sample", engine="mine", segment=7, at=stamp(10), body=server),
        make_record("incident", engine="mine", segment=9, at=stamp(10), body=crash),
    ]
    past = resume.look_back(written(tmp_path / "run.db", records), stamp(RESUMED_S), BOOT).engines["mine"]
    assert (past.next_segment, past.next_server_life) == (1, 10)


def test_restarts_count_and_a_daemons_end_does_not(tmp_path: Path) -> None:
    told = [
        make_record("incident", engine="mine", segment=1, at=stamp(20), body={"what": "restart"}),
        make_record("incident", engine="mine", segment=2, at=stamp(30), body={"what": "restart"}),
    ]
    first = until(DIED_S) + told
    resumed = resume.look_back(written(tmp_path / "a.db", first), stamp(RESUMED_S), BOOT)
    assert (resumed.engines["mine"].restarts, resumed.engines["mine"].gave_up) == (2, False)
    again = written(tmp_path / "b.db", [*first, resumed.record(), resumed.incident()])
    assert resume.look_back(again, stamp(RESUMED_S + 9), BOOT).engines["mine"].restarts == 2


def test_a_gap_that_is_too_long_makes_the_run_invalid(tmp_path: Path) -> None:
    first = until(DIED_S)
    resumed = resume.look_back(written(tmp_path / "run.db", first), stamp(DIED_S + 121), BOOT)
    assert (resumed.allowed_s, resumed.too_late) == (120.0, True)
    end = make_record(
        "phase", engine="", segment=1, at=stamp(DIED_S + 121), body={"name": "end", "reason": "longest_gap"}
    )
    verdict = verdict_of(PLAN, [*first, resumed.record(), resumed.incident(), end])
    assert verdict["verdict"] == "INVALID"
    assert check(verdict, "", "evidence.gap")["verdict"] == "INVALID"
    assert verdict["run"]["ended_by"] == "longest_gap"


def test_the_allowance_is_a_hundredth_of_the_plan_and_can_be_set() -> None:
    assert longest_gap_s(plan_of(duration="24h", every="10s")) == 864.0
    assert longest_gap_s(plan_of(run='longest_gap = "7s"')) == 7.0


def test_what_is_shown_does_not_fall_back(tmp_path: Path) -> None:
    first = until(DIED_S)
    path = written(tmp_path / "run.db", first)
    before, later = RunStatus(PLAN, "r"), RunStatus(PLAN, "r")
    before.fold(first)
    resumed = resume.look_back(path, rebooted(stamp(RESUMED_S)), "another boot")
    later.fold(list(resume.replayed(path, resumed)))
    later.resume()
    now_s = rebooted(stamp(RESUMED_S)).mono_s
    assert later.coverage_ratio(now_s) is None
    later.count(resume.samples_before(path, resumed))
    assert later.coverage_ratio(now_s) == pytest.approx(before.coverage_ratio(stamp(RESUMED_S).mono_s), abs=0.02)
    assert later.engines["mine"].operations == before.engines["mine"].operations != {}
    assert later.origin_wall_s == before.origin_wall_s
    assert later.elapsed_s(rebooted(stamp(RESUMED_S)).mono_s) == pytest.approx(RESUMED_S)
    assert later.incidents == before.incidents
    assert not later.engines["mine"].up


def test_a_run_is_written_by_one_daemon(tmp_path: Path) -> None:
    first = RunDir.create(tmp_path / "run")
    with pytest.raises(PreflightError, match="another soakd is writing this run"):
        RunDir.reopen(tmp_path / "run")
    assert first.is_running()
    first.unlock()
    RunDir.reopen(tmp_path / "run").unlock()


def test_reopening_removes_what_a_killed_daemon_left_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        f".{run_folder.VERDICT}.x7",
        f"{run_folder.SERVERS}/redis/redis.sock",
        f"{run_folder.IMPORTS}/soakd",
        "mine.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    RunDir.reopen(tmp_path).unlock()
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "mine.txt"}


def live_copy(tmp_path: Path) -> tuple[Path, int]:
    """A journal as a killed daemon leaves it: a file and its write-ahead log, not yet one."""
    path, copy = tmp_path / "run.db", tmp_path / "killed" / "run.db"
    copy.parent.mkdir()
    db = journal.Journal(path, on_commit=lambda batch: None, on_failure=print)
    db.set_meta({"run_id": "r", "plan": plan_as_dict(PLAN), "environment": {}})
    keeper = sqlite3.connect(path)  # while it reads, closing does not fold the log into the file
    keeper.execute("SELECT COUNT(*) FROM meta").fetchone()
    records = until(DIED_S)
    for record in records:
        db.put(record)
    while db.written()[0] < len(records):
        pass
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    db.close()
    keeper.close()
    return copy, len(records)


def read_all(path: Path) -> int:
    kinds = ("hello", "phase", "sample", "latency", "incident", "bye", "snapshot", "server")
    return sum(1 for _ in journal.read_records(path, *kinds))


def test_a_killed_daemons_journal_has_every_committed_record(tmp_path: Path) -> None:
    copy, count = live_copy(tmp_path)
    journal.check_whole(copy)
    assert read_all(copy) == count


def assert_names_the_loss(said: str, torn: Path) -> None:
    assert str(torn) in said
    assert "lost" in said
    assert "\n" not in said


@pytest.mark.parametrize(("clocks", "boot"), [(same, BOOT), (rebooted, "another boot")])
def test_series_of_the_time_before_are_drawn_again(tmp_path: Path, clocks: Callable[[Stamp], Stamp], boot: str) -> None:
    records = until(DIED_S)
    shown = RunStatus(PLAN, "r")
    shown.fold(records)
    path = written(tmp_path / "run.db", records)
    resumed = resume.look_back(path, clocks(stamp(RESUMED_S)), boot)
    later = RunStatus(PLAN, "r")
    later.fold(list(resume.replayed(path, resumed)))
    later.recall(recalled(path, "r", resumed))
    for name, engine in shown.engines.items():
        assert {"rss_anon_bytes", "rate_per_s"} <= set(engine.history.signals)
        for signal in engine.history.signals:
            assert later.engines[name].history.whole(signal) == engine.history.whole(signal), (name, signal)


@pytest.mark.parametrize("part", ["", "-wal"])
def test_a_journal_that_is_cut_or_torn_opens_or_says_what_is_lost(tmp_path: Path, part: str) -> None:
    copy, count = live_copy(tmp_path)
    if not part:
        journal.Journal(copy, on_commit=lambda batch: None, on_failure=print).close()  # folds the log into the file
    dice, outcomes = random.Random(f"torn{part}"), {"opened": 0, "refused": 0}
    for n in range(40):
        torn = tmp_path / f"torn{n}" / "run.db"
        torn.parent.mkdir()
        for suffix in ("", "-wal") if part else ("",):
            shutil.copy(f"{copy}{suffix}", f"{torn}{suffix}")
        file = Path(f"{torn}{part}")
        size = file.stat().st_size
        at = dice.randrange(size)
        with file.open("r+b") as damaged:
            if n % 2:
                damaged.truncate(at)
            else:
                damaged.seek(at)
                damaged.write(bytes(min(512, size - at)))
        try:
            journal.check_whole(torn)
            assert read_all(torn) <= count
            outcomes["opened"] += 1
        except JournalError as error:
            said = str(error)
            assert_names_the_loss(said, torn)
            outcomes["refused"] += 1
    assert outcomes["opened"] > 0 if part else outcomes["refused"] > 0, outcomes


def incident(engine: str, t_s: float, segment: int, what: str) -> Record:
    return make_record("incident", engine=engine, segment=segment, at=stamp(t_s), body={"what": what, "detail": "x"})


def hello(engine: str, t_s: float, segment: int) -> Record:
    return make_record("hello", engine=engine, segment=segment, at=stamp(t_s), body={"pid": 1})


def test_restarts_before_a_long_healthy_life_are_forgiven_by_a_resume_too(tmp_path: Path) -> None:
    plan = plan_of(run='[supervision]\nhealthy_after = "10s"')
    story = [hello("mine", 0, 0), incident("mine", 1, 0, "crash"), incident("mine", 2, 1, "restart")]
    story += [hello("mine", 3, 1), incident("mine", 5, 1, "crash"), incident("mine", 6, 2, "restart")]
    story += [hello("mine", 7, 2)]
    short = written(tmp_path / "short.db", [*story, hello("control-null", 12, 0)], plan)
    assert resume.look_back(short, stamp(20), BOOT).engines["mine"].restarts == 2
    long = written(tmp_path / "long.db", [*story, hello("control-null", 17, 0)], plan)
    assert resume.look_back(long, stamp(20), BOOT).engines["mine"].restarts == 0
    again = [*story, incident("mine", 30, 2, "crash"), incident("mine", 31, 3, "restart"), hello("mine", 32, 3)]
    after_it = written(tmp_path / "again.db", again, plan)
    assert resume.look_back(after_it, stamp(40), BOOT).engines["mine"].restarts == 1


def test_what_has_to_be_mended_is_said_before_a_resume_and_the_run_stays_unfinished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        plan = plan_of(run=f"[http]\nport = {port}")
        folder = tmp_path / "run"
        folder.mkdir()
        path = written(folder / "run.db", until(DIED_S), plan)
        config = tmp_path / "soak.toml"
        config.write_text(plan.config.text.replace('"3min"', '"5min"'), encoding="utf-8")
        assert main.main(["run", str(config), "--resume", str(folder)]) == 75
    said = capsys.readouterr().err
    assert "changed since the run began (run.duration): it goes on as it began" in said
    assert f"127.0.0.1:{port} cannot be bound" in said
    assert "left unfinished; fix the cause and resume it" in said
    assert not resume.is_sealed(path)


@pytest.mark.parametrize("named", ["a-run", "latest", "{folder}", "{runs}"])
def test_a_run_to_resume_is_named_as_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str], named: str) -> None:
    runs = tmp_path / "runs"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        plan = plan_of(run=f"[http]\nport = {taken.getsockname()[1]}")
        (runs / "a-run").mkdir(parents=True)
        written(runs / "a-run" / "run.db", until(DIED_S), plan)
        given = named.format(folder=runs / "a-run", runs=runs)
        assert main.main(["run", "--runs", str(runs), "--resume", given]) == 75
    assert f"soakd: {runs / 'a-run'}: left unfinished" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["a-rum", "latest", "{folder}"])
def test_what_names_no_run_begins_none(tmp_path: Path, capsys: pytest.CaptureFixture[str], named: str) -> None:
    config, runs = tmp_path / "soak.toml", tmp_path / "runs"
    (tmp_path / "lost").mkdir()
    given = named.format(folder=tmp_path / "lost")
    config.write_text(PLAN.config.text, encoding="utf-8")
    assert main.main(["run", str(config), "--runs", str(runs), "--resume", given]) == 5
    assert capsys.readouterr().err == f"soakd: {given}: no run there, and none of that name in {runs}\n"
    assert not runs.exists()


def test_a_gap_before_any_engine_was_ready_is_told_and_costs_nothing(tmp_path: Path) -> None:
    first = [make_record("hello", engine="mine", segment=0, at=stamp(-602.0), body={"pid": 50})]
    resumed = resume.look_back(written(tmp_path / "run.db", first), stamp(-3.0), BOOT)
    assert resumed.gap_s == pytest.approx(599.0)
    assert not resumed.too_late
    lives = {name: past.next_segment for name, past in resumed.engines.items()}
    later = [
        remade(record, segment=lives.get(record.engine, resumed.life)) for record in made_up(PLAN)
    ]  # fmt: skip
    records = [*first, resumed.record(), resumed.incident(), *later]
    verdict = verdict_of(PLAN, list(on_one_clock(records, clock_shifts(records))))
    assert verdict["verdict"] == "PASS", verdict["summary"]
    assert [incident["what"] for incident in verdict["incidents"]] == ["daemon_gap"]
