"""What a fresh machine hears: tools/bootstrap.sh among commands that we made up."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TOOLS = ("cat", "dirname", "env", "mktemp", "printf", "rm", "sed", "sh")
GONE = "exit 127"


class Machine:
    """A PATH with a few real tools and scripts that stand for the rest."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.said = folder / "said"
        self.bin.mkdir()
        for tool in TOOLS:
            real = shutil.which(tool)
            if real:
                (self.bin / tool).symlink_to(real)
        self.has("cc", "exit 0")
        self.has("python3", f'exec "{sys.executable}" "$@"')
        self.has_rust("1.96.0")

    def has(self, name: str, script: str) -> None:
        path = self.bin / name
        path.write_text(f"#!{self.bin}/sh\n{script}\n", encoding="utf-8")
        path.chmod(0o755)

    def has_rust(self, version: str) -> None:
        for name in ("cargo", "rustc"):
            self.has(name, f'echo "{name} {version} (0123456 2026-01-01)"')

    def has_apt(self, **candidates: str) -> None:
        """Packages and their versions; an installation writes down what it was asked for."""
        lines = " ".join(f'{name}) echo "  Candidate: {version}" ;;' for name, version in candidates.items())
        self.has("apt-cache", f'case "$(printf %s "$2" | sed s/-/_/)" in {lines} esac')
        self.has("apt-get", f'printf "%s " "$@" >> "{self.said}"')

    def bootstrap(self, *arguments: str, uid: int = 0) -> subprocess.CompletedProcess[str]:
        self.has("id", f"echo {uid}")
        environment = {"PATH": str(self.bin), "HOME": str(self.bin), "SOAKD_PYTHON": "python3"}
        return subprocess.run(
            [str(self.bin / "sh"), str(ROOT / "tools" / "bootstrap.sh"), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


needs_no_system_rust = pytest.mark.skipif(
    Path("/usr/bin/cargo").exists(), reason="the system's own cargo is found whatever the PATH says"
)


def test_nothing_is_said_where_nothing_is_missing(machine: Machine) -> None:
    result = machine.bootstrap()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_it_names_the_folder_of_a_recent_cargo(machine: Machine) -> None:
    assert machine.bootstrap("cargo").stdout.strip() == str(machine.bin)


def test_without_root_the_one_command_is_printed_and_nothing_is_installed(machine: Machine) -> None:
    machine.has("cc", GONE)
    machine.has_apt(gcc="12.2")
    result = machine.bootstrap(uid=1000)
    assert result.returncode == 1
    assert "  apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev\n" in result.stderr
    assert not machine.said.exists()


def test_root_installs_only_what_is_missing(machine: Machine) -> None:
    machine.has("cc", GONE)
    machine.has_apt(gcc="12.2")
    machine.bootstrap()
    said = machine.said.read_text(encoding="utf-8")
    assert said.startswith("update")
    assert said.strip().endswith("gcc libc6-dev")


def test_without_apt_the_packages_of_other_systems_are_named(machine: Machine) -> None:
    machine.has("python3", GONE)
    result = machine.bootstrap()
    assert result.returncode == 1
    assert "Python >= 3.11" in result.stderr
    assert "dnf install" in result.stderr


@needs_no_system_rust
def test_an_old_rust_counts_as_missing_and_debians_newer_one_is_asked_for(machine: Machine) -> None:
    machine.has_rust("1.63.0")
    machine.has_apt(cargo="1.63.0", cargo_web="1.96.0+dfsg1-1")
    result = machine.bootstrap(uid=1000)
    assert "install -y --no-install-recommends cargo-web rustc-web" in result.stderr


@needs_no_system_rust
def test_a_system_without_a_recent_rust_is_sent_to_rustup(machine: Machine) -> None:
    machine.has_rust("1.63.0")
    machine.has_apt(cargo="1.63.0")
    result = machine.bootstrap()
    assert result.returncode == 1
    assert "rustup" in result.stderr


def test_an_unknown_word_is_a_usage_error(machine: Machine) -> None:
    assert machine.bootstrap("--chekc").returncode == 2


def test_root_installs_the_servers_that_tests_start_and_only_what_is_missing(machine: Machine) -> None:
    machine.has("redis-server", "exit 0")
    machine.has_apt()
    result = machine.bootstrap("tests")
    assert (result.returncode, result.stderr) == (
        0,
        "Installing for the tests: prometheus prometheus-alertmanager chromium\n",
    )
    assert machine.said.read_text(encoding="utf-8").strip().endswith("--no-remove chromium")


def test_without_root_tests_are_skipped_and_not_refused(machine: Machine) -> None:
    machine.has_apt()
    result = machine.bootstrap("tests", uid=1000)
    assert result.returncode == 0
    assert (
        "as root: apt-get install -y --no-install-recommends prometheus prometheus-alertmanager redis-server chromium\n"
        in result.stderr
    )
    assert not machine.said.exists()


def test_a_server_that_cannot_be_installed_stops_no_test_run(machine: Machine) -> None:
    machine.has("apt-get", "exit 100")
    result = machine.bootstrap("tests")
    assert result.returncode == 0
    assert "redis-server could not be installed: the tests that start one will be skipped" in result.stderr
