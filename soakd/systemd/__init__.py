"""The systemd units of soakd, adapted to the environment that it runs in."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from soakd.errors import PreflightError

SERVICE = "soakd@.service"
OTHERS = ("soakd-shutdown@.service", "soakd-release.timer")
AS_SHIPPED = "/opt/soakd/bin/soakd"
"""The program in the shipped service."""
UNITS = Path("etc/systemd/system")
CONFIGURATIONS = Path("etc/soakd")
HOMES = ("/home", "/root", "/run/user")
HIDDEN = ("/tmp", "/var/tmp")  # noqa: S108 - these are refused
"""Folders of which the service has private ones: it does not see files in the host's."""


def units(prefix: Path, base_prefix: Path, package: Path) -> Mapping[Path, str]:
    """Return the units for an environment: path below the root -> text.

    Args:
        prefix: of the environment; its `bin/soakd` is started.
        base_prefix: of the Python that the environment was created with.
        package: the folder of soakd itself.

    Raises:
        PreflightError: the service could not see the environment, or systemd could not start it by its path.
    """
    folders = [str(prefix), str(base_prefix), str(package)]
    for folder in folders:
        if any(_is_below(folder, hidden) for hidden in HIDDEN):
            raise PreflightError(f"{folder}: the service has a /tmp of its own: install soakd elsewhere, as /opt/soakd")
    service = read(SERVICE).replace(AS_SHIPPED, _quoted(f"{prefix}/bin/soakd"))
    written = {UNITS / SERVICE: service, **{UNITS / name: read(name) for name in OTHERS}}
    if any(_is_below(folder, home) for folder in folders for home in HOMES):
        written[UNITS / f"{SERVICE}.d" / "home.conf"] = read("drop-ins/home.conf")
    return written


def install(root: Path, written: Mapping[Path, str]) -> list[Path]:
    """Write units below a root folder, with the folder of configurations; return the paths written.

    Raises:
        PreflightError: they cannot be written.
    """
    paths = []
    try:
        for path, text in written.items():
            paths.append(root / path)
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            paths[-1].write_text(text, encoding="utf-8")
            paths[-1].chmod(0o644)
        (root / CONFIGURATIONS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PreflightError(
            f"{error.filename}: cannot be written: {error.strerror}; try as root, or --print"
        ) from error
    return paths


def here() -> Mapping[Path, str]:
    """Return the units for the current environment."""
    return units(Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parent)


def read(name: str) -> str:
    """Return the text of a shipped file."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _is_below(folder: str, other: str) -> bool:
    return Path(os.path.normpath(folder)).is_relative_to(other)


def _quoted(path: str) -> str:
    """Quote a program's path for ExecStart: % begins a specifier, and a space or a quote would end the word.

    Raises:
        PreflightError: the path cannot be quoted.
    """
    if any(c in path for c in " \t\n\"'\\;$"):
        raise PreflightError(f"{path}: systemd cannot start a program of that path: install soakd in a plain one")
    return path.replace("%", "%%")
