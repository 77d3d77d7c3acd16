"""The folder of a run: its files, their atomic replacement, its lock, and the record of where it ran."""

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from soakd.errors import JournalError, PreflightError
from soakd.plaintext import escaped_json
from soakd.record.own_files import is_empty_file, open_own, open_to_read, refuse_links

JOURNAL = "run.db"
VERDICT = "verdict.json"
CONFIG = "soak.toml"
ENVIRONMENT = "environment.json"
LOCK = "lock"
SERVERS = "servers"
"""Sockets and files of servers; removed when the run has ended."""
ADDRESS = "address"
"""The address of the run's page, while its daemon is alive."""
CAPTURES = "captures"
IMPORTS = ".imports"
"""The folder from which workers import soakd; removed when the run has ended."""
TOKEN = "token"  # noqa: S105 - the name of a file
"""The token for requests that change something; readable only by the run's user."""
CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""Where systemd puts the administrator's token, if there is one."""
NOTIFY = "notify.json"
"""Recipients, with a webhook's address: readable only by the run's user, removed when the run is sealed."""
SECRETS = "secrets.json"
"""Options of engines with secrets: readable only by the run's user, removed when the run is sealed."""
FLAMES = "flamegraph.html"
JUNIT = "verdict.junit.xml"
SUMMARY = "verdict.md"
REPORT = "report.html"
WRITTEN = (
    JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", VERDICT, CONFIG, ENVIRONMENT, LOCK, SERVERS, ADDRESS, CAPTURES,
    IMPORTS, TOKEN, NOTIFY, SECRETS, FLAMES, JUNIT, SUMMARY, REPORT,
)  # fmt: skip
"""Everything that soakd writes in a run's folder."""
HALF_WRITTEN = tuple(
    f".{name}." for name in (VERDICT, CONFIG, ENVIRONMENT, JUNIT, SUMMARY, REPORT, NOTIFY, SECRETS, ADDRESS, FLAMES)
)
"""Prefixes of the names of files that are about to replace others."""

PACKAGES = (
    "aiohttp", "cachetools", "memray", "numpy", "prometheus-client", "psutil", "Pympler", "redis", "rich", "scipy",
    "soakd", "structlog",
)  # fmt: skip

LEAST_TOKEN = 16

_SURROGATE = re.compile("[\ud800-\udfff]")


class RunDir:
    """One run's folder, held by at most one daemon."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        """The locked descriptor, held until the process ends."""

    @property
    def run_id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """The SQLite file."""
        return self.path / JOURNAL

    def journal_id(self) -> tuple[int, int] | None:
        """Return the identity of the SQLite file, to notice that it was replaced; None if it is gone."""
        try:
            found = self.journal.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    @property
    def verdict(self) -> Path:
        """The verdict file, which exists from the first minute on."""
        return self.path / VERDICT

    @classmethod
    def create(cls, path: Path) -> "RunDir":
        """Create the folder and lock it.

        Raises:
            PreflightError: it cannot be created or written, or has another run.
        """
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o750)
            if any(found.name != LOCK or not is_empty_file(found) for found in path.iterdir()):
                raise PreflightError(f"{path}: is not empty; name a new folder with --run-dir")
            run = cls(path)
            run.lock()
        except OSError as error:
            raise PreflightError(f"{path}: cannot be used as run directory: {error.strerror}") from error
        return run

    def lock(self) -> None:
        """Lock the run until this process ends.

        Raises:
            PreflightError: another soakd holds it.
        """
        self._lock = open_own(self.path / LOCK)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.unlock()
            raise PreflightError(f"{self.path}: another soakd is writing this run") from error

    def unlock(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @classmethod
    def reopen(cls, path: Path) -> "RunDir":
        """Lock an existing run, and remove what a killed daemon left behind.

        Raises:
            PreflightError: another soakd holds it, or it cannot be written.
        """
        run = cls(path)
        try:
            run.lock()
            refuse_links(run.path / name for name in WRITTEN)
            refuse_links((run.path / CAPTURES).glob("*"))
            run.sweep()
        except OSError as error:
            raise PreflightError(f"{path}: cannot be used as run directory: {error.strerror}") from error
        return run

    def sweep(self) -> None:
        """Remove what only a live daemon needs: half-written files, servers' sockets, workers' imports."""
        for left in self.path.glob(".*"):
            if left.name.startswith(HALF_WRITTEN):
                left.unlink(missing_ok=True)
        (self.path / ADDRESS).unlink(missing_ok=True)
        for folder in (SERVERS, IMPORTS):
            shutil.rmtree(self.path / folder, ignore_errors=True)

    def token(self) -> str:
        """Return the run's token: from systemd's credential of that name, or from the file, created if missing.

        Raises:
            JournalError: it cannot be read or written.
        """
        given = os.environ.get(CREDENTIALS)
        path = Path(given) / TOKEN if given and (Path(given) / TOKEN).is_file() else self.path / TOKEN
        try:
            token = _own_token(path) if path.parent == self.path else path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise JournalError(f"{path}: no token: {getattr(error, 'strerror', None) or error}") from error
        if len(token) < LEAST_TOKEN:
            raise JournalError(f"{path}: a token has at least {LEAST_TOKEN} characters")
        return token

    def is_running(self) -> bool:
        """Return whether a daemon holds the run now."""
        try:
            with open_to_read(self.path / LOCK) as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False


def _own_token(path: Path) -> str:
    with contextlib.suppress(FileExistsError):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            os.fchmod(fd, 0o600)
            file.write(secrets.token_urlsafe(32) + "\n")
    with open_to_read(path) as file:
        return file.read().strip()


def default_path(runs: Path, name: str, now: datetime) -> Path:
    """Return a new folder under `runs`: name and UTC second, with a number if that is taken."""
    base = runs / f"{name}-{now:%Y%m%dT%H%M%SZ}"
    candidates = [base, *(base.with_name(f"{base.name}-{n}") for n in range(2, 100))]
    return next(path for path in candidates if not path.exists())


def find(run: str, runs: Path) -> RunDir:
    """Find a run by its folder, by its name under `runs`, or as "latest".

    Raises:
        JournalError: there is no such run.
    """
    known = list_runs(runs)
    if run == "latest" and known:
        return known[-1]
    for path in (Path(run), runs / run):
        if (path / JOURNAL).is_file():
            return RunDir(path)
        if is_empty_file(path / LOCK):
            raise JournalError(f"{path}: its run has not started: there is nothing in it")
    raise JournalError(f"{run}: no run there, and none of that name in {runs}")


def list_runs(runs: Path) -> list[RunDir]:
    """List the runs in a folder, oldest first."""
    if not runs.is_dir():
        return []
    found = [RunDir(path) for path in runs.iterdir() if (path / JOURNAL).is_file()]
    return sorted(found, key=by_age)


def by_age(run: RunDir) -> tuple[float, str]:
    """Return the key to sort runs by age: when the configuration was written, which happens once, and the name."""
    created_s = 0.0
    with contextlib.suppress(OSError):
        created_s = (run.path / (CONFIG if (run.path / CONFIG).exists() else LOCK)).stat().st_mtime
    return created_s, run.run_id


def write_atomically(path: Path, text: str, *, mode: int = 0o640) -> None:
    """Replace a file atomically: a reader sees the old or the new one. What UTF-8 cannot represent is escaped.

    Raises:
        JournalError: it cannot be written; the old file is kept.
    """
    try:
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, mode)
                os.replace(file.name, path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise JournalError(f"{path}: cannot be written: {error.strerror}") from error


def file_record(path: Path) -> dict[str, Any]:
    """Describe an artifact: its name, size in bytes and SHA-256."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return {"path": path.name, "sha256": digest.hexdigest(), "bytes": path.stat().st_size}


def environment(folder: Path) -> dict[str, Any]:
    """Return the environment of a run: host, kernel, processors, memory, Python, Rust engines, packages, git commit."""
    uname = platform.uname()
    return {
        "host": {
            "name": uname.node,
            "kernel": uname.release,
            "machine": uname.machine,
            "cpus": os.cpu_count(),
            "cpu_model": _cpu_model(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "libc": " ".join(platform.libc_ver()),
            "boot_id": boot_id(),
            "transparent_huge_pages": _first_line("/sys/kernel/mm/transparent_hugepage/enabled"),
        },
        "versions": {"python": platform.python_version(), **_package_versions()},
        "git_commit": _git_commit(folder),
    }


def boot_id() -> str | None:
    """Return the kernel's id of this boot: CLOCK_BOOTTIME restarts with each boot."""
    return _first_line("/proc/sys/kernel/random/boot_id")


def to_json(value: Mapping[str, Any]) -> str:
    """Write JSON for people and machines: indented, in the given order, without NaN or lone surrogates."""
    return _carried(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


def to_json_line(value: Mapping[str, Any]) -> str:
    """Write the same as one line, without the line end."""
    return _carried(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def _carried(text: str) -> str:
    return escaped_json(_SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text))


def _cpu_model() -> str | None:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        return None
    return models[0] if models else None


def _package_versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and needed once per run

    versions = {}
    for package in PACKAGES:
        try:
            versions[package.lower()] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _git_commit(folder: Path) -> str | None:
    """Return the commit of the configuration's folder, with "+" appended if files differ from it."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _first_line(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return None
