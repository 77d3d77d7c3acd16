"""The rules of the house that a tool can check; docs/architecture.md says why they are there."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent.parent
HOUSE = ROOT / "soakd"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

ONLY_IN = {
    "aiohttp": {"daemon/backends", "daemon/notify", "live/web", "worker/engines"},
    "argparse": {"cli"},
    "cachetools": {"worker/engines"},
    "jinja2": {"report/html"},
    "memray": {"worker/attribution"},
    "numpy": {"judge", "report/curves"},
    "prometheus_client": {"live/metrics"},
    "psutil": {"daemon/backends", "daemon/host", "daemon/preflight", "daemon/workers", "procs/proc"},
    "pympler": {"worker/attribution", "worker/probes"},
    "redis": {"worker/engines"},
    "rich": {"live/terminal"},
    "scipy": {"judge"},
    "soakd._native": {"worker/engines", "worker/load", "worker/probes"},
    "sqlite3": {"record/journal"},
    "structlog": {"daemon/log"},
}
"""The rooms that may import what; a package that is not here may be imported by all (pyproject.toml says more)."""

NOT_IN_A_WORKER = {
    "aiohttp",
    "cachetools",
    "jinja2",
    "memray",
    "numpy",
    "prometheus_client",
    "psutil",
    "pympler",
    "redis",
    "rich",
}
NOT_IN_A_WORKER |= {"scipy", "sqlite3", "structlog"}
NOT_IN_THE_DAEMON = {"cachetools", "jinja2", "memray", "numpy", "pympler", "redis", "scipy"}

MACHINE_PATH = re.compile(r"(?<![\w.$}~-])/(?:home|root|work|Users|mnt|workspace)/[\w.-]")
ADDRESS_OF_AN_INDEX = re.compile(r"--(?:index-url|extra-index-url|find-links|trusted-host)|https?://")

LONGEST_MODULE = 400
LONGEST_FUNCTION = 75
LONG_FOR_A_REASON: dict[str, str] = {}
"""Module or module:function -> why it reads better whole."""


def modules() -> list[Path]:
    return sorted(HOUSE.rglob("*.py"))


def room_of(path: Path) -> str:
    """Return a module's place: worker/engines/batch."""
    return path.relative_to(HOUSE).with_suffix("").as_posix()


def imports_of(path: Path) -> Iterator[str]:
    """Yield every imported name, dotted, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def own_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("not a git work tree")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_imports_go_downward_only() -> None:
    # a process of its own: it configures logging, and switches every other logger off
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_is_imported_only_in_its_rooms(package: str) -> None:
    importers = {
        room_of(path)
        for path in modules()
        if any(name == package or name.startswith(package + ".") for name in imports_of(path))
    }
    strays = {place for place in importers if not any(f"{place}/".startswith(f"{room}/") for room in ONLY_IN[package])}
    assert not strays, f"{package} belongs to {sorted(ONLY_IN[package])}"


def test_records_are_read_through_the_recording_and_by_nothing_else() -> None:
    """But for the daemon's own journal, and what a file says of itself, nobody above `record` opens a journal."""
    readers = {"read_records", "read_spread", "read_latest", "read_latest_number", "read_since", "read_by_id", "query"}
    for path in modules():
        if not room_of(path).startswith("record/"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            named = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            named |= {name.removeprefix("soakd.record.") for name in imports_of(path)}
            found = named & {f"journal.{reader}" for reader in readers}
            assert not found, f"{path}: reads records past soakd.record.recording"


def test_the_body_of_a_record_is_read_where_records_are_made_and_kept() -> None:
    """Everybody else reads the fields of its kind. (A page has a body, too: of its answers.)"""
    at_home = ("wire/records", "record/journal", "live/web")
    for path in modules():
        if not room_of(path).startswith(at_home):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "body"]
            assert not found, f"{path}:{found[0]}: looks into the body of a record"


def test_importing_the_package_imports_nothing() -> None:
    assert list(imports_of(HOUSE / "__init__.py")) == []


def loaded_by(module: str) -> set[str]:
    """Import a module in a fresh interpreter; return the top-level names of all that came with it."""
    program = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_a_worker_starts_with_nothing_that_it_would_be_accused_of() -> None:
    assert loaded_by("soakd.worker.__main__") & NOT_IN_A_WORKER == set()


@pytest.mark.parametrize("module", ["soakd.__main__", "soakd.cli.run", "soakd.daemon.daemon"])
def test_the_daemon_starts_without_arithmetic(module: str) -> None:
    assert loaded_by(module) & NOT_IN_THE_DAEMON == set()


def test_every_package_that_is_imported_is_declared() -> None:
    declared = {Requirement(text).name.replace("-", "_") for text in PYPROJECT["project"]["dependencies"]}
    imported = {name.partition(".")[0] for path in modules() for name in imports_of(path)}
    assert imported - set(sys.stdlib_module_names) - declared == {"soakd"}


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_locks_pin_by_hash_and_name_no_index(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not ADDRESS_OF_AN_INDEX.search(text)
    pins = re.split(r"\n(?=\S)", text.strip())
    assert [pin.splitlines()[0] for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


def test_the_lock_answers_what_pyproject_asks() -> None:
    pins = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    wanted = [
        Requirement(text) for text in PYPROJECT["project"]["dependencies"] + PYPROJECT["build-system"]["requires"]
    ]
    for requirement in wanted:
        versions = [version for name, version in pins if name == requirement.name]
        assert versions, f"{requirement.name} is not locked: run `make lock`"
        assert all(requirement.specifier.contains(version) for version in versions)


def test_wheel_and_crates_bear_one_version() -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    assert cargo["workspace"]["package"]["version"] == PYPROJECT["project"]["version"]


def test_nothing_of_the_package_is_left_out_of_the_wheel() -> None:
    """maturin packs what lies under the packages that it is told, but for what .gitignore names."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["maturin"]
    assert told["python-packages"] == ["soakd"]
    assert "exclude" not in told
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    files = [
        path.relative_to(ROOT) for path in HOUSE.rglob("*") if path.is_file() and path.suffix not in (".so", ".pyc")
    ]
    assert {
        "page.css",
        "uPlot.LICENSE.txt",
        "template.toml",
        "soakd@.service",
        "verdict.schema.json",
        "style.css",
        "page.html",
    } <= {path.name for path in files}
    assert [path for path in files if any(path.match(pattern.strip("/")) for pattern in ignored)] == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    found = []
    for path in own_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}"
            for match in MACHINE_PATH.finditer(text)
        ]
    assert found == []


def test_shell_scripts_parse_as_posix() -> None:
    for script in [*ROOT.glob("tools/*.sh"), ROOT / ".ci" / "run"]:
        result = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr


def test_every_command_that_the_papers_name_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    papers = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / ".ci" / "run", *ROOT.glob(".github/workflows/*")]
    named = {
        target
        for paper in papers
        for target in re.findall(
            r"(?:`|^ +(?:- run: )?|^)make ([a-z]+)", paper.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert {"build", "soak", "test", "check", "fix", "bench", "golden"} <= targets
    assert named <= targets


def test_modules_and_functions_stay_readable() -> None:
    """Sizes are signs: split, or say in LONG_FOR_A_REASON why it reads better whole."""
    long = set()
    for path in modules():
        name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        if text.count("\n") > LONGEST_MODULE:
            long.add(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.add(f"{name}:{node.name}")
    assert long == set(LONG_FOR_A_REASON)
