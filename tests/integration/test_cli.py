"""The command line, as a user meets it: each bad input one line and exit 2, each command what it promises."""

import csv
import io
import json
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

POLICY = """
[run]
duration = "60s"
sample_every = "1s"
[limits]
growth_per_operation = "16B"
[[engine]]
name = "policy"
kind = "policy.regorus"
rate = 100
options = { policy = "p.rego", rule = "data.p.allow" }
"""


ENDED = (0, 3, 4)
"""How a healthy engine's run of seconds may end: a busy host keeps samples from it, and then says so."""


def soakd(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "soakd", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run that has ended; its folder."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "p.rego").write_text("package p\n\nallow := true\n", encoding="utf-8")
    text = POLICY.replace('"60s"', '"14s"').replace('"1s"', '"200ms"').replace("rate = 100", "rate = 1000")
    (folder / "soak.toml").write_text(text, encoding="utf-8")
    done = soakd("run", "soak.toml", "--log-format", "auto", cwd=folder)
    assert done.returncode in ENDED, done.stdout + done.stderr
    (folder / "log").write_text(done.stderr, encoding="utf-8")
    return folder


def test_off_a_terminal_a_run_says_what_happens_in_lines_of_json(finished: Path) -> None:
    told = [json.loads(line) for line in (finished / "log").read_text(encoding="utf-8").splitlines()]
    events = [line["event"] for line in told]
    assert {line["level"] for line in told} <= {"info", "warning"}
    assert events[0] == "serving"
    phases = [line["phase"] for line in told if line["event"] == "phase"]
    assert phases == ["baseline", "load", "drain", "reload", "close"]
    assert (events.count("started"), events.count("ended")) == (1, 1)
    assert events.index("started") < events.index("phase") < events.index("progress") < events.index("ended")
    assert events[-1] == "verdict"
    assert told[-1]["state"] in ("PASS", "INCONCLUSIVE", "INVALID")
    assert len(told) < 40, "a line of progress twelve times, a line an event"


@pytest.mark.parametrize(("option", "value"), [("--log-level", "loud"), ("--log-format", "xml")])
def test_a_log_of_another_kind_is_a_usage_error(tmp_path: Path, option: str, value: str) -> None:
    done = soakd("run", "soak.toml", option, value, cwd=tmp_path)
    assert (done.returncode, value in done.stderr) == (2, True)


def test_init_writes_a_configuration_that_explains_itself_and_never_overwrites(tmp_path: Path) -> None:
    done = soakd("init", cwd=tmp_path)
    assert done.returncode == 0
    text = (tmp_path / "soak.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["engine"][0]["kind"] == "python"
    assert text.count("#") > 10
    again = soakd("init", cwd=tmp_path)
    assert (again.returncode, "already exists" in again.stderr) == (2, True)
    assert (tmp_path / "soak.toml").read_text(encoding="utf-8") == text


def test_check_says_what_would_stop_the_run_and_what_it_could_see(tmp_path: Path) -> None:
    (tmp_path / "p.rego").write_text("package p\n\nallow := true\n", encoding="utf-8")
    (tmp_path / "soak.toml").write_text(POLICY, encoding="utf-8")
    done = soakd("check", "soak.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "policy: growth_per_operation = 16 B cannot pass in this length: it takes 10,000 operations" in done.stdout
    assert done.stdout.endswith("soak.toml: ready to run\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.rego", "soak.toml"]


SHOP = """
import json, os, time
def make(size=1): return lambda: None
def raises(): return lambda: json.loads("{")
def dies(): return lambda: os._exit(7)
def hangs(): return lambda: time.sleep(600)
async def operation(op): raise ValueError("of the loop")
def asynchronous(): return operation
def broken(): raise KeyError("x")
"""
TRIED = {
    "good": ("shop:make", None),
    "raises": ("shop:raises", "its first operation raised json.decoder.JSONDecodeError: "),
    "dies": ("shop:dies", "its process ended in its first operation (exit status 7)"),
    "hangs": ("shop:hangs", "its first operation did not end within 5s"),
    "asynchronous": ("shop:asynchronous", "its first operation raised ValueError: of the loop (shop.py:7)"),
    "broken": ("shop:broken", "broken() raised KeyError: 'x' (shop.py:9)"),
    "unknown": ("shpo:make", "module \"shpo\" does not import: ModuleNotFoundError: No module named 'shpo'"),
    "other": (
        'shop:make"\noptions = { sise = 5 }#',
        "options: got an unexpected keyword argument 'sise'; make takes (size=1)",
    ),
}
"""Engine -> its factory, and what a trial says of it."""


def test_a_trial_performs_one_operation_of_each_engine_and_shows_what_it_raised_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    text = '[run]\nduration = "3min"\nsample_every = "1s"\n[supervision]\nhang_after = "5s"\n'
    for name, (factory, _) in TRIED.items():
        text += f'[[engine]]\nname = "{name}"\nkind = "python"\npath = ["."]\nfactory = "{factory}"\n'
    (tmp_path / "soak.toml").write_text(text, encoding="utf-8")
    plain = soakd("check", "soak.toml", cwd=tmp_path)
    assert plain.stdout.endswith("soak.toml: 1 error\n")
    assert (
        'error   engine "unknown": factory "shpo:make": no module "shpo" in its path or this environment'
        in plain.stdout
    )
    assert "engines were not started: soakd check --try" in plain.stdout
    done = soakd("check", "--try", "--json", "soak.toml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "")
    errors = [finding["text"] for finding in json.loads(done.stdout)["findings"] if finding["level"] == "error"]
    wrong = {name: why for name, (_, why) in TRIED.items() if why is not None}
    assert len(errors) == len(wrong)
    for name, why in wrong.items():
        (line,) = [text for text in errors if text.startswith(f'engine "{name}": ')]
        assert why in line
        assert "\n" not in line


def test_everything_that_is_wrong_with_a_file_is_told_at_once_and_counted(tmp_path: Path) -> None:
    (tmp_path / "soak.toml").write_text(POLICY.replace("rate = 100", "rate = 0\nmix = 5"), encoding="utf-8")
    done = soakd("check", "soak.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ")[-2] for line in done.stderr.splitlines()[:-1]] == ["rate", "mix", "no such file"]
    assert done.stderr.splitlines()[-1] == "soakd: 3 errors"
    told = json.loads(soakd("check", "--json", "soak.toml", cwd=tmp_path).stdout)
    assert (told["ready"], [finding["level"] for finding in told["findings"]]) == (False, ["error"] * 3)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (None, "options: policy: no such file"),
        ("package p\n\nallow := \n", "p.rego:"),
        ("package p\n\nallow if input.user = \n", "p.rego:"),
    ],
)
def test_a_policy_that_is_missing_or_wrong_is_named_with_its_place(
    tmp_path: Path, policy: str | None, message: str
) -> None:
    (tmp_path / "soak.toml").write_text(POLICY, encoding="utf-8")
    if policy is not None:
        (tmp_path / "p.rego").write_text(policy, encoding="utf-8")
    done = soakd("run", "soak.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    if policy is not None:
        assert 'engine "policy":' in done.stderr
        assert any(f"p.rego:{line}:" in done.stderr for line in (3, 4)), done.stderr
    assert not (tmp_path / "runs").exists()


def test_an_occupied_port_is_found_before_the_start(tmp_path: Path) -> None:
    (tmp_path / "p.rego").write_text("package p\n\nallow := true\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (tmp_path / "soak.toml").write_text(f"{POLICY}\n[http]\nport = {port}\n", encoding="utf-8")
        done = soakd("run", "soak.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert "choose another http.port" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_run_directory_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.rego").write_text("package p\n\nallow := true\n", encoding="utf-8")
    (tmp_path / "soak.toml").write_text(POLICY, encoding="utf-8")
    for folder, why in (("p.rego/run", "not a folder that can be written"), ("x" * 300, "File name too long")):
        done = soakd("run", "soak.toml", "--run-dir", folder, cwd=tmp_path)
        assert done.returncode == 2
        assert f"{why}: choose another one with --run-dir" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "absent.toml"], "absent.toml: cannot be read: No such file or directory"),
        (["verdict", "absent"], "absent: no run there"),
        (["judge"], "judge: give either a RUN or --csv FILE"),
        (["export", "absent", "--csv"], "absent: no run there"),
    ],
)
def test_what_is_not_there_is_one_line_and_exit_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = soakd(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_teaches_and_names_the_exit_codes(tmp_path: Path) -> None:
    done = soakd("--help", cwd=tmp_path)
    assert done.returncode == 0
    for words in ("init", "check", "verdict", "INCONCLUSIVE", "128+n"):
        assert words in done.stdout
    assert soakd(cwd=tmp_path).returncode == 2
    assert soakd("--version", cwd=tmp_path).stdout.startswith("soakd 0.")


def test_list_verdict_and_judge_find_a_run_by_name_folder_and_as_latest(finished: Path) -> None:
    listed = soakd("list", cwd=finished)
    name = listed.stdout.split()[0]
    shown = soakd("verdict", name, cwd=finished)
    assert shown.returncode in ENDED
    assert soakd("verdict", f"runs/{name}", cwd=finished).stdout == shown.stdout
    latest = soakd("verdict", "latest", "--json", cwd=finished)
    assert json.loads(latest.stdout)["run_id"] == name
    assert "growth.reachable_bytes" in shown.stdout


def test_judging_again_gives_the_same_files_byte_for_byte(finished: Path) -> None:
    run = next((finished / "runs").iterdir())
    names = ("verdict.json", "verdict.md", "verdict.junit.xml")
    before = {name: (run / name).read_bytes() for name in names}
    soakd("judge", "latest", cwd=finished)
    assert {name: (run / name).read_bytes() for name in names} == before


def test_an_export_has_one_row_a_reading(finished: Path) -> None:
    done = soakd("export", "latest", "--csv", cwd=finished)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    signals = {row["signal"] for row in rows if row["engine"] == "policy"}
    assert {"rss_anon_bytes", "reachable_python_bytes", "operations_total"} <= signals
    assert all(float(row["value"]) is not None for row in rows)


def test_a_journal_cut_short_is_a_clear_error_or_no_pass(finished: Path, tmp_path: Path) -> None:
    whole = (next((finished / "runs").iterdir()) / "run.db").read_bytes()
    (tmp_path / "cut").mkdir()
    for share in (0.1, 0.5, 0.9):
        (tmp_path / "cut" / "run.db").write_bytes(whole[: int(len(whole) * share)])
        done = soakd("judge", "cut", cwd=tmp_path)
        assert done.returncode == 2, done.stdout
        assert "damaged" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [None, "", "[]", '{"verdict": "MAYBE"}', '{"verdict": "PASS"}'])
def test_a_damaged_verdict_is_one_line_and_hides_no_other_run(
    finished: Path, tmp_path: Path, content: str | None
) -> None:
    shutil.copytree(finished / "runs", tmp_path / "runs")
    good = next((tmp_path / "runs").iterdir())
    shutil.copytree(good, tmp_path / "runs" / "damaged")
    (tmp_path / "runs" / "damaged" / "verdict.json").unlink()
    if content is not None:
        (tmp_path / "runs" / "damaged" / "verdict.json").write_text(content, encoding="utf-8")
    shown = soakd("verdict", "damaged", cwd=tmp_path)
    assert (shown.returncode, "soakd judge runs/damaged writes it anew" in shown.stderr) == (
        2 if content is None else 4,
        True,
    )
    listed = soakd("list", cwd=tmp_path).stdout
    assert good.name in listed
    assert "UNKNOWN" in listed
    if content is None:
        assert soakd("judge", "damaged", "--quiet", cwd=tmp_path).returncode in ENDED


def test_nobody_reading_the_output_changes_no_verdict(finished: Path) -> None:
    expected = soakd("verdict", "latest", cwd=finished).returncode
    command = f"{sys.executable} -m soakd verdict latest | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=finished, capture_output=True, text=True, check=False)
    assert int(done.stdout) == expected
    assert "Traceback" not in done.stderr


def test_a_control_that_is_switched_off_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "p.rego").write_text("package p\n\nallow := true\n", encoding="utf-8")
    (tmp_path / "soak.toml").write_text(POLICY.replace("[run]", '[run]\ncontrols_off = ["leak"]'), encoding="utf-8")
    done = soakd("check", "soak.toml", cwd=tmp_path)
    assert "without the leak control nothing shows that soakd works" in done.stdout
