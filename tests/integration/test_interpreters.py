"""Engines under interpreters and environments that are not soakd's own: they run, they see none of soakd's packages,
and what cannot be run under is refused in one line."""

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from soakd.record import journal
from tests.environments import install, new_environment, other_cpythons, site_packages_of, wheel

pytestmark = pytest.mark.integration

ENGINES = Path(__file__).parents[1] / "engines"
GREETER = 'RELEASE = {release}\n\ndef greet(name):\n    return "{word} " + name\n'
DEPENDENCIES = ["aiohttp", "cachetools", "memray", "numpy", "prometheus_client", "psutil", "pympler", "redis", "rich"]
DEPENDENCIES += ["scipy", "structlog"]
OLD = 'raise ImportError("a release that soakd cannot work with")\n'
WITHOUT_NATIVE = """
import sys
class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name == "soakd._native":
            raise ImportError("not for this interpreter")
sys.meta_path.insert(0, Refuses())
"""
HEAD = """
[run]
duration = "{duration}"
sample_every = "200ms"
collect_every = "200ms"
snapshot_every = "6s"
controls_off = ["leak", "null"]
[limits]
growth_per_operation = "64B"
[supervision]
start_within = "{start_within}"
"""
ENGINE = """
[[engine]]
name = "{name}"
kind = "python"
factory = "foreign:make"
path = ["{path}"]
rate = 1200
python = "{python}"
options = {{ package = "soakd_greeter", report = "{report}", hidden = {hidden} }}
"""


def soakd(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "soakd", *arguments], cwd=folder, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip


class Soaked:
    """What a soak of engines in environments of their own left behind."""

    def __init__(self, folder: Path, environments: Mapping[str, Path], code: int, said: str) -> None:
        self.folder = folder
        self.environments = environments
        self.code = code
        self.said = said
        self.verdict: dict[str, Any] = json.loads((folder / "out" / "verdict.json").read_text(encoding="utf-8"))

    def report(self, name: str) -> dict[str, Any]:
        """What an engine wrote in its last life."""
        text = (self.folder / f"{name}.json").read_text(encoding="utf-8")
        report: dict[str, Any] = json.loads(text)
        return report

    def check(self, name: str, check_id: str) -> dict[str, Any]:
        engine = next(engine for engine in self.verdict["engines"] if engine["name"] == name)
        check: dict[str, Any] = next(check for check in engine["checks"] if check["id"] == check_id)
        return check

    def bodies(self, name: str, kind: Any) -> list[Mapping[str, Any]]:
        records = journal.read_records(self.folder / "out" / "run.db", kind)
        return [record.body for record in records if record.engine == name]


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Soaked:
    """One soak for all: two releases side by side, a hostile environment, and every other CPython that is there."""
    folder = tmp_path_factory.mktemp("foreign")
    one = wheel(folder, "soakd_greeter", "1.0", GREETER.format(release=1, word="hello"))
    two = wheel(folder, "soakd_greeter", "2.0", GREETER.format(release=2, word="salve"))
    pythons = {"release-1": new_environment(folder / "one"), "release-2": new_environment(folder / "two")}
    pythons["hostile"] = new_environment(folder / "hostile")
    for number, base in enumerate(other_cpythons()):
        pythons[f"other-{number}"] = new_environment(folder / f"other-{number}", base)
    for name, python in pythons.items():
        install(python, two if name == "release-2" else one)
    _make_hostile(site_packages_of(pythons["hostile"]))
    engines = (
        ENGINE.format(name=name, path=ENGINES, python=python, report=folder / f"{name}.json", hidden=DEPENDENCIES)
        for name, python in pythons.items()
    )
    text = HEAD.format(duration="16s", start_within="60s") + "".join(engines)
    text = text.replace('name = "release-2"', 'name = "release-2"\nrole = "twin"\ntwin_of = "release-1"')
    (folder / "soak.toml").write_text(text, encoding="utf-8")
    done = soakd(folder, "run", "soak.toml", "--run-dir", "out")
    return Soaked(folder, pythons, done.returncode, done.stdout + done.stderr)


def _make_hostile(site_packages: Path) -> None:
    """Put other releases of all that soakd has into an environment, a soakd among them, and let `_native` not load."""
    for name in [*DEPENDENCIES, "soakd", "json5"]:
        if name != "aiohttp":  # one that is simply not there
            (site_packages / f"{name}.py").write_text(OLD, encoding="utf-8")
    # by a .pth file, which runs everywhere: Debian's Python has a `sitecustomize` that hides an environment's own
    (site_packages / "without_native.py").write_text(WITHOUT_NATIVE, encoding="utf-8")
    (site_packages / "without_native.pth").write_text("import without_native\n", encoding="utf-8")


def test_an_engine_runs_with_a_package_that_soakd_does_not_have(soaked: Soaked) -> None:
    with pytest.raises(ModuleNotFoundError):
        __import__("soakd_greeter")
    for name, python in soaked.environments.items():
        assert Path(soaked.report(name)["prefix"]) == python.parent.parent
        assert soaked.check(name, "errors.ratio")["verdict"] == "PASS", soaked.said
        assert soaked.check(name, "stability.crashes")["verdict"] == "PASS", soaked.said
        assert soaked.check(name, "growth.live_bytes")["verdict"] == "PASS", soaked.said
        assert soaked.check(name, "growth.reachable_bytes")["verdict"] != "FAIL", soaked.said


def test_a_worker_has_loaded_nothing_that_is_not_its_own(soaked: Soaked) -> None:
    installed = set(importlib.metadata.packages_distributions()) - {"soakd"}
    assert {"aiohttp", "structlog", "yarl", "numpy"} <= installed
    for name in soaked.environments:
        loaded = {module.partition(".")[0] for module in soaked.report(name)["modules"]}
        assert "soakd" in loaded
        assert "soakd_greeter" in loaded
        assert loaded & installed == set(), name


def test_a_worker_could_not_even_find_them(soaked: Soaked) -> None:
    for name in soaked.environments:
        found = soaked.report(name)["found"]
        assert found == ([] if name != "hostile" else [x for x in DEPENDENCIES if x != "aiohttp"])


def test_two_releases_of_one_package_stand_side_by_side(soaked: Soaked) -> None:
    for release in (1, 2):
        samples = soaked.bodies(f"release-{release}", "sample")
        assert {body["counter.release"] for body in samples if "counter.release" in body} == {release}
        assert soaked.report(f"release-{release}")["release"] == release


def test_without_the_native_module_python_records_latency_and_nobody_invents_rust_bytes(soaked: Soaked) -> None:
    samples = soaked.bodies("hostile", "sample")
    assert not any("rust_bytes" in body for body in samples)
    assert any("rust_bytes" in body for body in soaked.bodies("release-1", "sample"))
    assert "soakd._native" not in soaked.report("hostile")["modules"]
    assert soaked.check("hostile", "latency.drift")["id"]
    assert soaked.check("hostile", "rate.achieved")["verdict"] == "PASS"
    assert soaked.bodies("hostile", "latency")


def test_a_pympler_that_does_not_import_leaves_the_plain_counter(soaked: Soaked) -> None:
    bodies = {name: soaked.bodies(name, "snapshot") for name in soaked.environments}
    assert {body["method"] for body in bodies["hostile"] if "skipped" not in body} == {"types"}
    # a busy host's first snapshot may have given way to the leak signal, and the next ones go without pympler
    assert any(body.get("method") == "pympler" or "gave way" in body["skipped"] for body in bodies["release-1"][:1])
    assert all(body["method"] in ("pympler", "types") for body in bodies["release-1"] if "skipped" not in body)


def test_the_same_under_another_version_of_cpython(soaked: Soaked) -> None:
    others = [name for name in soaked.environments if name.startswith("other-")]
    if not others:
        pytest.skip("no CPython of another version, 3.11 or later, on this machine (PATH and pyenv were looked at)")
    for name in others:
        report = soaked.report(name)
        assert tuple(report["version"]) != sys.version_info[:2]
        assert "soakd._native" in report["modules"]
        assert any("reachable_python_bytes" in body for body in soaked.bodies(name, "sample"))


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


BAD = {
    "missing": ("{folder}/none/python", "No such file or directory"),
    "unknown": ("soakd-no-such-python", "no such program on PATH"),
    "true": ("/bin/true", "does not answer as Python does (exit status 0)"),
    "folder": ("{folder}", "is a folder"),
    "text": ("{folder}/text", "cannot be executed: permission denied"),
    "junk": ("{folder}/junk", "not Python: no program at all"),
    "shebang": ("{folder}/shebang", "its first line names a program that is not there"),
    "endless": ("{folder}/endless", "does not answer as Python does (it prints without end): hello"),
    "hanging": ("{folder}/hanging", "did not answer within 3s: it hangs at its start"),
    "dangling": ("{folder}/lost/bin/python", "which is not there: its environment has lost its interpreter"),
    "old": ("{folder}/old", "is CPython 3.10.13; 3.11 or later is needed"),
    "pypy": ("{folder}/pypy", "is pypy 3.11.13; CPython 3.11 or later is needed"),
    "nogil": ("{folder}/nogil", "is a free-threaded CPython 3.14.0; a regular one is needed"),
}
SCRIPTS = {
    "junk": "hello\n",
    "shebang": "#!/nowhere/python\n",
    "endless": "#!/bin/sh\nexec yes hello\n",
    "hanging": "#!/bin/sh\nsleep 987 &\necho $! > child\nsleep 987\n",
    "old": "#!/bin/sh\necho 'soakd:cpython 3.10.13 .'\n",
    "pypy": "#!/bin/sh\necho 'soakd:pypy 3.11.13 .'\n",
    "nogil": "#!/bin/sh\necho 'soakd:cpython 3.14.0 t.'\n",
}


def test_what_no_worker_can_run_under_is_refused_in_one_line_each_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\n", encoding="utf-8")
    for name, script in SCRIPTS.items():
        (tmp_path / name).write_text(script, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    lost = new_environment(tmp_path / "lost")
    lost.unlink()
    lost.symlink_to(tmp_path / "gone" / "python3")
    engines = (
        f'[[engine]]\nname = "{name}"\nkind = "control.null"\nrole = "subject"\nrate = 100\npython = "{python}"\n'
        for name, (python, _) in BAD.items()
    )
    text = HEAD.format(duration="12s", start_within="3s") + "".join(engines).format(folder=tmp_path)
    (tmp_path / "soak.toml").write_text(text, encoding="utf-8")

    done = soakd(tmp_path, "run", "soak.toml", "--run-dir", "out")

    assert done.returncode == 2
    lines = done.stderr.splitlines()
    for name, (_, why) in BAD.items():
        (line,) = [line for line in lines if line.startswith(f'soakd: engine "{name}": python: ')]
        assert why in line
    assert not (tmp_path / "out").exists()
    assert not is_running(int((tmp_path / "child").read_text(encoding="utf-8")))


def test_a_kind_whose_package_the_environment_lacks_is_refused_in_one_line(tmp_path: Path) -> None:
    python = new_environment(tmp_path / "env")
    engine = f'[[engine]]\nname = "cache"\nkind = "cache.python"\nrate = 100\nrole = "subject"\npython = "{python}"\n'
    (tmp_path / "soak.toml").write_text(HEAD.format(duration="12s", start_within="60s") + engine, encoding="utf-8")
    done = soakd(tmp_path, "run", "soak.toml", "--run-dir", "out")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f'soakd: engine "cache": kind "cache.python" does not work under {python}: '
        "ModuleNotFoundError: No module named 'cachetools'"
    )
    assert not (tmp_path / "out").exists()


def test_what_lies_where_soakd_was_started_is_nobodys_module(tmp_path: Path) -> None:
    """A json.py beside the configuration must not take the place of the standard library's."""
    (tmp_path / "json.py").write_text(OLD, encoding="utf-8")
    engine = '[[engine]]\nname = "a"\nkind = "control.null"\nrole = "subject"\nrate = 100\n'
    (tmp_path / "soak.toml").write_text(HEAD.format(duration="12s", start_within="60s") + engine, encoding="utf-8")
    command = [sys.executable, "-P", "-m", "soakd", "check", "--try", "soak.toml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_folder_that_workers_import_from_is_gone_afterwards(tmp_path: Path) -> None:
    engine = '[[engine]]\nname = "a"\nkind = "control.null"\nrole = "subject"\nrate = 100\n'
    (tmp_path / "soak.toml").write_text(HEAD.format(duration="12s", start_within="60s") + engine, encoding="utf-8")
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "soakd", "check", "--try", "soak.toml"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
