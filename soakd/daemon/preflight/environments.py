"""Whether an engine's interpreter and programs can work, as seen from files: nothing is started."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from soakd.daemon.preflight.finding import Finding
from soakd.errors import BackendError
from soakd.setup.engine_kinds import KINDS
from soakd.setup.plan import EnginePlan, Plan
from soakd.setup.toml import LARGEST_FILE_BYTES
from soakd.wire.given_files import read_given

PACKAGES = ("lib/python3*/site-packages", "lib/python3*/dist-packages", "lib/python3/dist-packages")
"""Where an environment may have its packages, seen from its folder."""


def check_environments(plan: Plan) -> Iterator[Finding]:
    """Look at the interpreter, and at the private server's program, of every engine; and for memray."""
    for engine in plan.engines:
        name, python = engine.config.name, engine.config.python
        if python is not None and (why := why_unfit(python)) is not None:
            yield Finding("error", f'engine "{name}": python: {why}')
        if (why := _missing_program(engine)) is not None:
            yield Finding("error", f'engine "{name}": {why}')
    yield from _missing_memray(plan)


def check_factories(plan: Plan) -> Iterator[Finding]:
    """Look for the modules of factories, without importing any, and not under other interpreters."""
    for engine in plan.engines:
        factory, config = engine.config.factory, engine.config
        if factory is not None and config.python is None and not _is_findable(factory, config.path):
            module = factory.partition(":")[0].partition(".")[0]
            text = f'no module "{module}" in its path or this environment: name its folder in path, or install it'
            yield Finding("error", f'engine "{config.name}": factory "{factory}": {text}')


def _is_findable(factory: str, path: Sequence[str]) -> bool:
    """Return whether a worker would find the first package of a factory's module, where soakd itself is installed."""
    first = factory.partition(":")[0].partition(".")[0]
    # Not the folder that soakd was started in, or from: it is on no worker's path.
    folders = [*path, *(sys.path if sys.flags.safe_path else sys.path[1:])]
    folders += os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if PathFinder.find_spec(first, [folder for folder in folders if folder]) is not None:
        return True
    others = [finder for finder in sys.meta_path if finder is not PathFinder]  # such as those of editable installs
    return any(finder.find_spec(first, None) is not None for finder in others)


def why_unfit(python: str) -> str | None:
    """Return why no worker can run under an interpreter, as far as files show; None if they show nothing."""
    from soakd.procs.interpreters import (
        cannot_start,
        unfit,
    )  # with an event loop, which costs time that most checks save

    found = Path(python) if "/" in python else Path(shutil.which(python) or python)
    try:
        found.stat()
    except OSError as error:
        return f"{python}: {cannot_start(python, error)}"
    if found.is_dir() or not os.access(found, os.X_OK):
        return f"{python}: {cannot_start(python, PermissionError(13, 'Permission denied'))}"
    settings = _venv_settings(found)
    version = tuple(int(part) for part in settings.get("version", "").split(".")[:3] if part.isdecimal())
    implementation = settings.get("implementation", "cpython").lower()
    return unfit(python, implementation, version, "") if len(version) > 1 else None


def _venv_settings(python: Path) -> dict[str, str]:
    """Return the settings in the `pyvenv.cfg` of an interpreter's environment; none without that file."""
    try:
        lines = read_given(python.parent.parent / "pyvenv.cfg", LARGEST_FILE_BYTES, errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    settings = {key.strip().lower(): value.strip() for key, _, value in pairs}
    if "version" not in settings and "version_info" in settings:
        settings["version"] = settings["version_info"]
    return settings


def _missing_program(engine: EnginePlan) -> str | None:
    """Return that the program of a private server is missing, and how to get it; None if it is there."""
    kind = KINDS[engine.config.kind].server
    if kind is None or "url" in engine.options:
        return None
    from soakd.daemon.backends import programs  # with an HTTP client: a third of a second that other runs save

    try:
        programs.find(kind, engine.options)
    except BackendError as error:
        return str(error)
    return None


def _missing_memray(plan: Plan) -> Iterator[Finding]:
    """Report each environment without memray, and what a look there cannot name."""
    if not plan.config.attribution.enabled:
        return
    engines: dict[str | None, list[str]] = {}
    for engine in plan.engines:
        if engine.config.role != "control" and not _has(engine.config.python, engine.config.path, "memray"):
            engines.setdefault(engine.config.python, []).append(engine.config.name)
    for python, names in engines.items():
        if python is None or why_unfit(python) is None:
            yield Finding(
                "warning",
                f"{', '.join(names)}: memray is not in the environment of {python or sys.executable}: native memory "
                f"that grows is found, the line that takes it is not: {python or sys.executable} -m pip install memray",
            )


def _has(python: str | None, path: Sequence[str], package: str) -> bool:
    """Return whether an environment has a package, or may have it in a place that cannot be seen from outside."""
    folders = [Path(entry) for entry in path]
    folders += [Path(entry) for entry in sys.path] if python is None else package_folders(python)
    return any((folder / package / "__init__.py").is_file() for folder in folders)


def package_folders(python: str) -> list[Path]:
    """Return the folders that hold the packages of an interpreter: of its environment, or of where it is installed."""
    found = Path(python) if "/" in python else Path(shutil.which(python) or python)
    settings = _venv_settings(found)
    others = [Path("/usr/local"), Path.home() / ".local"]
    roots = [found.parent.parent] if settings else [found.resolve().parent.parent, *others]
    if settings.get("include-system-site-packages", "").lower() == "true" and "home" in settings:
        roots += [Path(settings["home"]).parent, *others]
    return [folder for root in roots for pattern in PACKAGES for folder in sorted(root.glob(pattern))]
